# Everything a developer runs. A bare machine needs python3 (3.11 or newer) and make.

# The first that can make an environment. Distributions compile their Python with profile-guided optimisation, version
# managers mostly do not: the bank's own work takes half as long again on theirs.
PYTHON ?= $(firstword $(foreach python,/usr/bin/python3 python3,$(shell $(python) -c \
	'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))) python3)
BIN := .venv/bin
INSTALLED := .venv/installed

# A bank on this machine, unless the environment names real servers.
demo test test-heavy bench: export BANK_EMBEDDED ?= 1

.DEFAULT_GOAL := demo
.PHONY: demo test test-heavy check bench reset clean

demo: $(INSTALLED)
	@exec $(BIN)/python manage.py demo

# A file's tests stay together, in one of as many processes as there are cores.
test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-heavy: $(INSTALLED)
	$(BIN)/python -m pytest -m heavy

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	EVENT_STORE_KIND=in-memory BANK_IN_MEMORY_DIR=. $(BIN)/mypy bank eventstore accounts transfers projections tests manage.py
	$(BIN)/lint-imports
	EVENT_STORE_KIND=in-memory $(BIN)/python manage.py makemigrations --check --dry-run
	EVENT_STORE_KIND=in-memory API_AUTH=token $(BIN)/python manage.py spectacular --validate --fail-on-warn > /dev/null

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# The demo's data, its secrets and its logs.
reset: $(INSTALLED)
	$(BIN)/python -m bank.embedded.reset

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The hashes in the lock file are of every platform's wheels; pip takes the one that fits.
$(INSTALLED): requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
