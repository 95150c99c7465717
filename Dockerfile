# The bank as an image: web server, workers and manage.py are the same image with another command.

FROM python:3.11-slim AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# The lock pins and checks every package; pyproject.toml says which of them run the bank: not the embedded servers, and
# not the tools of its developers.
RUN python -m venv /opt/venv \
    && uv pip install --python /opt/venv/bin/python --require-hashes -r pyproject.toml -c requirements.lock

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=bank.settings BIND_HOST=0.0.0.0 PORT=3000
RUN useradd --system --uid 1000 --create-home bank && install -d -o bank /app/var
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY manage.py ./
COPY bank bank
COPY eventstore eventstore
COPY accounts accounts
COPY transfers transfers
COPY projections projections
USER 1000
EXPOSE 3000
# exec hands the signals of `docker stop` to the server itself.
CMD ["sh", "-c", "exec granian --interface rsgi bank.rsgi:application --host $BIND_HOST --port $PORT --workers 2 --no-ws"]
