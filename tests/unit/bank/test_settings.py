"""With which environment the bank refuses to start, and what it makes of the others."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ import Env

from tests.own_bank import PROJECT_DIR, environment, manage

# Nobody's: written out, as the names of the tests must be the same in every process that runs them.
STRONG = "x9Qv-3LmT_7bZkR2wYcN8hJ5sDfG1pAeU6oViX4tCqBnMrWzKyEj0aHgFdSl"
LOOPBACK = ["localhost", "127.0.0.1", "::1", "[::1]"]
ELSEWHERE = [
    "0.0.0.0",  # noqa: S104
    "::",
    "[::]",
    "",
    "*",
    ".localhost",
    "192.168.1.7",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "bank.example.org",
    "2001:db8::7",
]


@pytest.fixture
def settings_of(monkeypatch, tmp_path):
    """Read the settings anew, with nothing in the environment but what is given."""

    def read(**variables: str) -> dict[str, Any]:
        defaults = {"EVENT_STORE_KIND": "in-memory", "BANK_IN_MEMORY_DIR": str(tmp_path), "BANK_VAR_DIR": str(tmp_path)}
        with monkeypatch.context() as patch:
            patch.setattr(Env, "ENVIRON", environment(**defaults | variables))
            return runpy.run_path(str(PROJECT_DIR / "bank/settings.py"))

    return read


@pytest.mark.parametrize(
    "dangerous", [{"API_AUTH": "open"}, {"DEBUG": "1", "API_AUTH": "token"}], ids=["open", "debug"]
)
class TestForThisMachineAlone:
    """An API without tokens, and pages that tell everything about a fault."""

    @pytest.mark.parametrize("host", LOOPBACK)
    def test_at_home_it_starts(self, settings_of, dangerous, host):
        read = settings_of(BIND_HOST=host, ALLOWED_HOSTS=host, **dangerous)
        assert (read["API_AUTH"], read["DEBUG"]) == (dangerous["API_AUTH"], "DEBUG" in dangerous)

    @pytest.mark.parametrize("host", ELSEWHERE)
    def test_bound_elsewhere_it_does_not(self, settings_of, dangerous, host):
        with pytest.raises(ImproperlyConfigured, match="loopback"):
            settings_of(BIND_HOST=host, **dangerous)

    @pytest.mark.parametrize("host", [host for host in ELSEWHERE if host])
    def test_with_another_name_it_does_not(self, settings_of, dangerous, host):
        with pytest.raises(ImproperlyConfigured, match="loopback"):
            settings_of(ALLOWED_HOSTS=f"localhost,{host}", **dangerous)


def test_a_bank_for_others_asks_for_tokens(settings_of):
    read = settings_of(EVENT_STORE_KIND="postgres", DATABASE_URL="postgres://b@db/b", SECRET_KEY=STRONG)
    assert read["API_AUTH"] == "token"
    rest = read["REST_FRAMEWORK"]
    assert rest["DEFAULT_AUTHENTICATION_CLASSES"] == ["bank.authentication.BearerTokenAuthentication"]
    assert rest["DEFAULT_PERMISSION_CLASSES"] == ["accounts.permissions.HoldsPermission"]
    assert rest["DEFAULT_THROTTLE_CLASSES"] == ["bank.throttling.PrincipalThrottle"]


def test_an_api_that_is_neither_open_nor_not(settings_of):
    with pytest.raises(ImproperlyConfigured, match="open or token"):
        settings_of(API_AUTH="none")


class TestSecretKey:
    """Signatures of sessions and forms are as good as it is."""

    def test_without_one_only_a_bank_on_one_machine_starts(self, settings_of):
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
            settings_of(EVENT_STORE_KIND="postgres", DATABASE_URL="postgres://b@db/b")
        assert len(settings_of()["SECRET_KEY"]) >= 50
        assert settings_of()["SECRET_KEY"] == settings_of()["SECRET_KEY"]

    @pytest.mark.parametrize("weak", ["secret", "a" * 64, "abcd" * 16, STRONG[:49], f"django-insecure-{STRONG}"])
    def test_a_weak_one_is_none(self, settings_of, weak):
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is weak") as refusal:
            settings_of(SECRET_KEY=weak)
        assert weak not in str(refusal.value)

    def test_a_strong_one_is_taken(self, settings_of):
        assert settings_of(SECRET_KEY=STRONG)["SECRET_KEY"] == STRONG


@pytest.mark.parametrize("weak", ["secret", "a" * 31, "a-b" * 20, "a b" * 20, "ä" * 40, "a" * 256, "a" * 40 + "\n"])
def test_a_token_for_metrics_is_long_and_plain(settings_of, weak):
    with pytest.raises(ImproperlyConfigured, match="METRICS_TOKEN must be 32") as refusal:
        settings_of(METRICS_TOKEN=weak)
    assert weak not in str(refusal.value)
    assert settings_of()["METRICS_TOKEN"] == ""
    assert settings_of(METRICS_TOKEN="a1" * 16)["METRICS_TOKEN"] == "a1" * 16


class TestHttps:
    """On for a bank with a name of its own, off for one on this machine."""

    SWITCHES = (
        "SECURE_SSL_REDIRECT",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_HSTS_SECONDS",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    )

    @pytest.mark.parametrize(
        ("variables", "on"),
        [
            ({}, False),
            ({"ALLOWED_HOSTS": "localhost,bank.example.org"}, True),
            ({"ALLOWED_HOSTS": "bank.example.org", "HTTPS_ONLY": "0"}, False),
            ({"HTTPS_ONLY": "1"}, True),
        ],
    )
    def test_all_of_it_or_nothing(self, settings_of, variables, on):
        read = settings_of(API_AUTH="token", **variables)
        assert [bool(read[switch]) for switch in self.SWITCHES] == [on] * len(self.SWITCHES)

    def test_proxies_are_believed_if_there_are_any(self, settings_of):
        assert settings_of()["SECURE_PROXY_SSL_HEADER"] is None
        assert settings_of(TRUSTED_PROXIES="1")["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")


LEAST = {
    "PORT": 1,
    "DB_CONNECT_TIMEOUT_SECONDS": 1,
    "DB_LOCK_TIMEOUT_MS": 1,
    "DB_STATEMENT_TIMEOUT_MS": 1,
    "DB_IDLE_IN_TRANSACTION_TIMEOUT_MS": 1,
    "TOKEN_TTL_HOURS": 1,
    "THROTTLE_REQUESTS_PER_MINUTE": 1,
    "THROTTLE_TURNED_AWAY_PER_MINUTE": 1,
    "TRUSTED_PROXIES": 0,
    "SIGN_IN_FAILURE_LIMIT": 1,
    "SIGN_IN_LOCKOUT_MINUTES": 1,
    "SNAPSHOT_EVERY_EVENTS": 1,
    "EXECUTE_MAX_ATTEMPTS": 1,
    "EXECUTE_BATCH_COMMANDS": 1,
    "EXECUTE_QUEUE_COMMANDS": 1,
    "EXECUTE_WAIT_SECONDS": 0.1,
    "EXECUTE_CACHE_STREAMS": 0,
    "REFUSALS_KEPT_DAYS": 1,
    "TRANSFER_RESUME_SECONDS": 0,
    "TRANSFER_MAX_ATTEMPTS": 1,
    "TRANSFER_TICK_SECONDS": 0.1,
    "TRANSFER_SLICE_SECONDS": 0.1,
    "MAX_REQUEST_BYTES": 1024,
    "WEB_THREADS": 1,
    "WEB_NICENESS": 0,
    "JOBS_NICENESS": 0,
    "PROJECTION_BATCH_EVENTS": 1,
    "PROJECTION_SLICE_SECONDS": 0.1,
    "PROJECTION_TICK_SECONDS": 0.1,
    "PROJECTION_IDLE_SECONDS": 0.001,
    "PROJECTION_RETRY_SECONDS": 0,
    "VERIFICATION_TICK_SECONDS": 0,
    "VERIFICATION_SLICE_SECONDS": 0.1,
    "VERIFICATION_CYCLE_SECONDS": 0,
    "REBUILD_BATCH_EVENTS": 1,
    "REBUILD_PROCESSES": 1,
    "REBUILD_SWAP_SECONDS": 0,
    "READY_MAX_LAG_EVENTS": 0,
    "READY_MAX_AGE_SECONDS": 0.1,
}
MOST = {
    "PORT": 65_535,
    "DB_CONNECT_TIMEOUT_SECONDS": 60,
    "TOKEN_TTL_HOURS": 876_000,
    "TRUSTED_PROXIES": 100,
    "EXECUTE_BATCH_COMMANDS": 1_000,
    "EXECUTE_QUEUE_COMMANDS": 100_000,
    "EXECUTE_CACHE_STREAMS": 10_000_000,
    "REFUSALS_KEPT_DAYS": 36_500,
    "MAX_REQUEST_BYTES": 2**30,
    "WEB_THREADS": 1_000,
    "WEB_NICENESS": 19,
    "JOBS_NICENESS": 19,
}


class TestNumbers:
    """A number that makes no sense is told by its name before anything runs with it."""

    def test_every_number_is_here(self):
        text = (PROJECT_DIR / "bank/settings.py").read_text()
        assert set(re.findall(r'env\.(?:whole|number)\(\s*"([A-Z_]+)"', text)) == LEAST.keys()
        assert not re.search(r"env\.(int|float)\(", text)

    def test_at_their_bounds_it_starts(self, settings_of):
        for bounds in (LEAST, MOST):
            settings_of(**{name: str(bound) for name, bound in bounds.items()})

    @pytest.mark.parametrize("name", LEAST)
    def test_below_it_does_not(self, settings_of, name):
        for value in (LEAST[name] - 1, LEAST[name] - 0.0001 if isinstance(LEAST[name], float) else -1):
            with pytest.raises(ImproperlyConfigured, match=rf"^{name} is {float(value):g}\b.*; it must be a .*\d"):
                settings_of(**{name: str(value)})

    @pytest.mark.parametrize("name", MOST)
    def test_above_it_does_not(self, settings_of, name):
        with pytest.raises(ImproperlyConfigured, match=rf"^{name} is \d+; .* to {MOST[name]}$"):
            settings_of(**{name: str(MOST[name] + 1)})


class TestMetricsDir:
    """Only web servers and workers count in files, and the bank's own variable says where."""

    def test_an_empty_one_counts_as_not_set(self, settings_of, tmp_path):
        assert settings_of()["METRICS_DIR"] == settings_of(METRICS_DIR="")["METRICS_DIR"] == tmp_path / "metrics"
        assert settings_of(METRICS_DIR="/srv/metrics")["METRICS_DIR"] == Path("/srv/metrics")

    def test_no_command_writes_files_whatever_the_library_finds_in_the_environment(self, tmp_path):
        names = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir", "METRICS_DIR")
        variables = {name: str(tmp_path / name) for name in names}
        for name in names:
            (tmp_path / name).mkdir()
        counted = manage(
            *("shell", "-v0", "-c", "from eventstore.metrics import APPENDS; APPENDS.inc()"),
            env=environment(EVENT_STORE_KIND="in-memory", BANK_VAR_DIR=str(tmp_path), **variables),
        )
        assert (counted.returncode, counted.stderr) == (0, "")
        assert [list((tmp_path / name).iterdir()) for name in names] == [[], [], []]


def test_the_checks_of_a_deployment_find_nothing(tmp_path):
    checked = manage(
        *("check", "--deploy", "--fail-level", "DEBUG"),
        env=environment(
            DATABASE_URL="postgres://bank@127.0.0.1:1/bank",
            REDIS_URL="redis://127.0.0.1:1/0",
            SECRET_KEY=STRONG,
            BANK_VAR_DIR=str(tmp_path),
            BIND_HOST="::",
            ALLOWED_HOSTS="bank.example.org",
            TRUSTED_PROXIES="1",
        ),
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("System check identified no issues")
