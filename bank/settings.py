"""Django settings: the only reader of the environment."""

import logging
import re
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.checks.security import base as security_checks
from django.core.exceptions import ImproperlyConfigured

from bank.embedded.environment import DATABASE_VARIABLES
from bank.kept_secret import kept_secret
from bank.logs import LINE_FORMATS
from bank.loopback import LOOPBACK_HOSTS, hosts_to_listen_on
from bank.strict_env import StrictEnv

BASE_DIR = Path(__file__).resolve().parent.parent
env = StrictEnv()
env.smart_cast = False

# --- where it runs ----------------------------------------------------------------------------------------------------

BANK_EMBEDDED = env.bool("BANK_EMBEDDED", default=False)
VAR_DIR = Path(env.str("BANK_VAR_DIR", default=str(BASE_DIR / "var")))
BIND_HOST = env.str("BIND_HOST", default="127.0.0.1")
PORT = env.whole("PORT", default=3000, at_least=1, at_most=65_535)
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Where the server is told to listen; what it is told in other ways, LoopbackOnlyMiddleware sees in the requests.
_LISTENS_ON = {BIND_HOST, env.ENVIRON.get("GRANIAN_HOST", BIND_HOST), *hosts_to_listen_on(command_line=sys.argv)}
IS_FOR_THIS_MACHINE_ALONE = {*_LISTENS_ON, *ALLOWED_HOSTS} <= LOOPBACK_HOSTS
if DEBUG and not IS_FOR_THIS_MACHINE_ALONE:
    raise ImproperlyConfigured("DEBUG needs BIND_HOST, the server's host and all of ALLOWED_HOSTS on loopback")

EVENT_STORE_KIND = env.str("EVENT_STORE_KIND", default="postgres")
if EVENT_STORE_KIND not in ("postgres", "in-memory"):
    raise ImproperlyConfigured(f"EVENT_STORE_KIND is {EVENT_STORE_KIND!r}; it must be postgres or in-memory")
IN_MEMORY = EVENT_STORE_KIND == "in-memory"

# --- database ---------------------------------------------------------------------------------------------------------

# The role that web and workers use, if it is not the one that owns the tables; `migrate` gives it its rights.
DB_APP_ROLE = env.str("DB_APP_ROLE", default="")
DB_CONNECT_TIMEOUT_SECONDS = env.whole("DB_CONNECT_TIMEOUT_SECONDS", default=2, at_least=1, at_most=60)
DB_LOCK_TIMEOUT_MS = env.whole("DB_LOCK_TIMEOUT_MS", default=2_000, at_least=1, at_most=3_600_000)
DB_STATEMENT_TIMEOUT_MS = env.whole("DB_STATEMENT_TIMEOUT_MS", default=5_000, at_least=1, at_most=3_600_000)
DB_IDLE_IN_TRANSACTION_TIMEOUT_MS = env.whole(
    "DB_IDLE_IN_TRANSACTION_TIMEOUT_MS", default=30_000, at_least=1, at_most=86_400_000
)


def _database_at(address: str) -> dict[str, Any]:
    """Return what Django makes of `address`, which no error repeats: there may be a password in it."""
    try:
        if address.startswith(("postgres://", "postgresql://")):
            return dict(env.db_url_config(address))
    except ValueError:
        pass  # such as a port that is no number
    raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL database: postgres://USER:PASSWORD@HOST:PORT/NAME")


def _postgres_database() -> dict[str, Any]:
    """Return Django's settings of the PostgreSQL database that the environment names."""
    if env.str("DATABASE_URL", default=""):
        database = _database_at(env.str("DATABASE_URL"))
    elif any(env.str(name, default="") for name in DATABASE_VARIABLES):
        database = {
            "HOST": env.str("POSTGRES_HOST", default="localhost"),
            "PORT": env.str("POSTGRES_PORT", default="5432"),
            "USER": env.str("POSTGRES_USER", default="banking"),
            "PASSWORD": env.str("POSTGRES_PASSWORD", default=""),
            "NAME": env.str("POSTGRES_DB", default="banking"),
        }
    else:
        raise ImproperlyConfigured(
            "no database address: set DATABASE_URL or POSTGRES_HOST, or BANK_EMBEDDED=1 for a bank on this machine"
        )
    session_options = (
        f"-c lock_timeout={DB_LOCK_TIMEOUT_MS} -c statement_timeout={DB_STATEMENT_TIMEOUT_MS} "
        f"-c idle_in_transaction_session_timeout={DB_IDLE_IN_TRANSACTION_TIMEOUT_MS}"
    )
    return database | {
        "ENGINE": "django.db.backends.postgresql",
        # Each thread keeps its connection, and fibers keep theirs. A pool of others' would make every request of an
        # outage wait for its time-out.
        "CONN_MAX_AGE": None,
        "OPTIONS": database.get("OPTIONS", {})
        | {
            "connect_timeout": DB_CONNECT_TIMEOUT_SECONDS,
            "application_name": "bank",
            # A server whose machine has gone cannot say so: give it up as soon as one that does not accept.
            "tcp_user_timeout": DB_CONNECT_TIMEOUT_SECONDS * 1_000,
            "keepalives_idle": DB_CONNECT_TIMEOUT_SECONDS,
            "keepalives_interval": 1,
            "keepalives_count": DB_CONNECT_TIMEOUT_SECONDS,
            "options": session_options,
        },
    }


def _throw_away_database() -> dict[str, Any]:
    """Return a SQLite database for Django's tables and the read models of a bank that keeps nothing."""
    directory = env.str("BANK_IN_MEMORY_DIR", default="") or tempfile.mkdtemp(prefix="bank-")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(directory) / "bank.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 5, "init_command": "PRAGMA journal_mode=WAL"},
    }


DATABASES = {"default": _throw_away_database() if IN_MEMORY else _postgres_database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- secret and access ------------------------------------------------------------------------------------------------


def _require_strong(secret: str) -> None:
    """Raise ImproperlyConfigured for a secret that Django's own checks would call weak, if anybody ran them."""
    if (
        len(secret) < security_checks.SECRET_KEY_MIN_LENGTH
        or len(set(secret)) < security_checks.SECRET_KEY_MIN_UNIQUE_CHARACTERS
        or secret.startswith(security_checks.SECRET_KEY_INSECURE_PREFIX)
    ):
        raise ImproperlyConfigured("SECRET_KEY is weak: give the bank a random one of at least 50 characters")


SECRET_KEY = env.str("SECRET_KEY", default="")
if SECRET_KEY:
    _require_strong(SECRET_KEY)
elif BANK_EMBEDDED or IN_MEMORY:
    SECRET_KEY = kept_secret(VAR_DIR / "secret_key")
else:
    raise ImproperlyConfigured("SECRET_KEY is not set: give the bank a long random one of its own")

# `open` lets everybody do everything: for a bank on one machine, never for one that others can reach.
API_AUTH = env.str("API_AUTH", default="open" if BANK_EMBEDDED or IN_MEMORY else "token")
if API_AUTH not in ("open", "token"):
    raise ImproperlyConfigured(f"API_AUTH is {API_AUTH!r}; it must be open or token")
if API_AUTH == "open" and not IS_FOR_THIS_MACHINE_ALONE:
    raise ImproperlyConfigured("API_AUTH=open needs BIND_HOST, the server's host and all of ALLOWED_HOSTS on loopback")

# Without a key, a client that got no answer cannot send its command again and be sure that it counts once.
REQUIRE_IDEMPOTENCY_KEY = env.bool("REQUIRE_IDEMPOTENCY_KEY", default=API_AUTH == "token")

TOKEN_TTL_HOURS = env.whole("TOKEN_TTL_HOURS", default=2_160, at_least=1, at_most=876_000)
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": timedelta(hours=TOKEN_TTL_HOURS)}
THROTTLE_REQUESTS_PER_MINUTE = env.whole("THROTTLE_REQUESTS_PER_MINUTE", default=6_000, at_least=1)
THROTTLE_TURNED_AWAY_PER_MINUTE = env.whole("THROTTLE_TURNED_AWAY_PER_MINUTE", default=60, at_least=1)

# For Prometheus: other tokens are looked up in the database, and cannot be while it is away.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN and not re.fullmatch("[A-Za-z0-9]{32,255}", METRICS_TOKEN):
    raise ImproperlyConfigured("METRICS_TOKEN must be 32 to 255 random letters and digits")

# --- HTTPS and people -------------------------------------------------------------------------------------------------

# How many proxies stand before the bank and may be believed about where a request comes from: the bank speaks HTTP.
TRUSTED_PROXIES = env.whole("TRUSTED_PROXIES", default=0, at_least=0, at_most=100)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None

# Off for a bank on one machine, whose names are loopback: browsers would hold on to HTTPS for every local server.
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=not set(ALLOWED_HOSTS) <= LOOPBACK_HOSTS)
SECURE_SSL_REDIRECT = HTTPS_ONLY
# Asked from inside, past the proxy.
SECURE_REDIRECT_EXEMPT = [r"^(api/)?health(/|$)", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS_ONLY
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SESSION_COOKIE_AGE = 12 * 60 * 60
X_FRAME_OPTIONS = "DENY"

# Everything that people's browsers load comes from the bank itself.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = env.whole("SIGN_IN_FAILURE_LIMIT", default=5, at_least=1)
AXES_COOLOFF_TIME = timedelta(minutes=env.whole("SIGN_IN_LOCKOUT_MINUTES", default=15, at_least=1, at_most=525_600))
# Who guesses from one address locks nobody out at another.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "bank.client_address.client_address"
AXES_VERBOSE = False

# Their subclasses in bank.middleware, for the admin alone, do what these look for by name: X-Frame-Options, CSRF, axes.
SILENCED_SYSTEM_CHECKS = ["security.W002", "security.W003", "axes.W002"]

# --- the bank ---------------------------------------------------------------------------------------------------------

SNAPSHOT_EVERY_EVENTS = env.whole("SNAPSHOT_EVERY_EVENTS", default=100, at_least=1)
EXECUTE_MAX_ATTEMPTS = env.whole("EXECUTE_MAX_ATTEMPTS", default=100, at_least=1)
EXECUTE_BATCH_COMMANDS = env.whole("EXECUTE_BATCH_COMMANDS", default=64, at_least=1, at_most=1_000)
EXECUTE_QUEUE_COMMANDS = env.whole("EXECUTE_QUEUE_COMMANDS", default=1_024, at_least=1, at_most=100_000)
EXECUTE_WAIT_SECONDS = env.number("EXECUTE_WAIT_SECONDS", default=10.0, at_least=0.1, at_most=3_600)
EXECUTE_CACHE_STREAMS = env.whole("EXECUTE_CACHE_STREAMS", default=10_000, at_least=0, at_most=10_000_000)
REFUSALS_KEPT_DAYS = env.whole("REFUSALS_KEPT_DAYS", default=90, at_least=1, at_most=36_500)

# `apart` debits in one commit and credits in another, as must be where one side is out of reach.
TRANSFER_STEPS = env.str("TRANSFER_STEPS", default="together")
if TRANSFER_STEPS not in ("together", "apart"):
    raise ImproperlyConfigured(f"TRANSFER_STEPS is {TRANSFER_STEPS!r}; it must be together or apart")
TRANSFER_RESUME_SECONDS = env.number("TRANSFER_RESUME_SECONDS", default=5.0, at_least=0, at_most=86_400)
TRANSFER_MAX_ATTEMPTS = env.whole("TRANSFER_MAX_ATTEMPTS", default=10, at_least=1)
TRANSFER_TICK_SECONDS = env.number("TRANSFER_TICK_SECONDS", default=2.0, at_least=0.1, at_most=3_600)
TRANSFER_SLICE_SECONDS = env.number("TRANSFER_SLICE_SECONDS", default=5.0, at_least=0.1, at_most=3_600)


def _currencies_extra() -> dict[str, int]:
    """Return the bank's own units and their decimals, given as CURRENCIES_EXTRA=PTS:0,USDC:6."""
    units: dict[str, int] = {}
    for entry in env.list("CURRENCIES_EXTRA", default=[]):
        code, _, exponent = entry.partition(":")
        if not (code.isascii() and code.isalnum() and code.isupper() and exponent.isdecimal() and int(exponent) <= 18):
            raise ImproperlyConfigured(f"CURRENCIES_EXTRA holds {entry!r}; each entry is CODE:DECIMALS")
        units[code] = int(exponent)
    return units


CURRENCIES_EXTRA = _currencies_extra()
MAX_REQUEST_BYTES = env.whole("MAX_REQUEST_BYTES", default=1_048_576, at_least=1_024, at_most=1_073_741_824)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES

# --- projections and Celery -------------------------------------------------------------------------------------------

PROJECTION_BATCH_EVENTS = env.whole("PROJECTION_BATCH_EVENTS", default=2_000, at_least=1, at_most=100_000)
PROJECTION_SLICE_SECONDS = env.number("PROJECTION_SLICE_SECONDS", default=5.0, at_least=0.1, at_most=3_600)
PROJECTION_TICK_SECONDS = env.number("PROJECTION_TICK_SECONDS", default=1.0, at_least=0.1, at_most=3_600)
PROJECTION_RETRY_SECONDS = env.number("PROJECTION_RETRY_SECONDS", default=5.0, at_least=0, at_most=3_600)
REBUILD_BATCH_EVENTS = env.whole("REBUILD_BATCH_EVENTS", default=5_000, at_least=1, at_most=100_000)
REBUILD_PROCESSES = env.whole("REBUILD_PROCESSES", default=2, at_least=1, at_most=64)
REBUILD_SWAP_SECONDS = env.number("REBUILD_SWAP_SECONDS", default=60.0, at_least=0, at_most=86_400)
PROJECTION_IDLE_SECONDS = env.number("PROJECTION_IDLE_SECONDS", default=0.1, at_least=0.001, at_most=60)

# How often a slice of the books is verified, if at all, how long one may take, and how often all of them at most.
VERIFICATION_TICK_SECONDS = env.number("VERIFICATION_TICK_SECONDS", default=10.0, at_least=0, at_most=86_400)
VERIFICATION_SLICE_SECONDS = env.number("VERIFICATION_SLICE_SECONDS", default=1.0, at_least=0.1, at_most=3_600)
VERIFICATION_CYCLE_SECONDS = env.number("VERIFICATION_CYCLE_SECONDS", default=60.0, at_least=0, at_most=31_536_000)

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
if not REDIS_URL.startswith(("redis://", "rediss://")):
    raise ImproperlyConfigured("REDIS_URL must name a Valkey or Redis server: redis://HOST:PORT/NUMBER")
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker that is long away must not end the worker.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 5}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "jobs"
# What keeps the read models fresh has a queue and a worker of its own; whatever takes longer is a job.
CELERY_TASK_ROUTES = {"projections.advance": {"queue": "projections"}}
# Every task finds its work in the database, so a message lost with its worker costs nothing.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
FORGET_REFUSALS_SECONDS = 3_600.0
REBUILD_SUSPECTS_SECONDS = 5.0
PROJECTION_JOBS_SECONDS = 2.0
CELERY_BEAT_SCHEDULE = {
    "advance-projections": {
        "task": "projections.advance",
        "schedule": PROJECTION_TICK_SECONDS,
        "options": {"expires": PROJECTION_TICK_SECONDS},
    },
    "resume-transfers": {
        "task": "transfers.resume",
        "schedule": TRANSFER_TICK_SECONDS,
        "options": {"expires": TRANSFER_TICK_SECONDS},
    },
    "work-on-projection-jobs": {
        "task": "projections.work_on_jobs",
        "schedule": PROJECTION_JOBS_SECONDS,
        "options": {"expires": PROJECTION_JOBS_SECONDS},
    },
    "rebuild-suspects": {
        "task": "projections.rebuild_suspects",
        "schedule": REBUILD_SUSPECTS_SECONDS,
        "options": {"expires": REBUILD_SUSPECTS_SECONDS},
    },
    "forget-refusals": {
        "task": "eventstore.forget_refusals",
        "schedule": FORGET_REFUSALS_SECONDS,
        "options": {"expires": FORGET_REFUSALS_SECONDS},
    },
}
if VERIFICATION_TICK_SECONDS:
    CELERY_BEAT_SCHEDULE["verify"] = {
        "task": "projections.verify",
        "schedule": VERIFICATION_TICK_SECONDS,
        "options": {"expires": VERIFICATION_TICK_SECONDS},
    }
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_TIMEZONE = "UTC"

# --- how it is watched ------------------------------------------------------------------------------------------------

# When /health/ready says that a projection is too far behind, or that nobody advances it.
READY_MAX_LAG_EVENTS = env.whole("READY_MAX_LAG_EVENTS", default=10_000, at_least=0)
READY_MAX_AGE_SECONDS = env.number("READY_MAX_AGE_SECONDS", default=30.0, at_least=0.1)
# What processes share: an in-memory bank beside its own database, apart from all others.
_shared_dir = Path(DATABASES["default"]["NAME"]).parent if IN_MEMORY else VAR_DIR
# Where all processes that answer one /metrics count.
METRICS_DIR = Path(env.str("METRICS_DIR", default="") or _shared_dir / "metrics")
# The library's own names for it: found there, every process would write files, also those that nobody asks.
for _name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    env.ENVIRON.pop(_name, None)

# --- web processes ----------------------------------------------------------------------------------------------------

# For all requests but commands and one account's reads, which need none unless they take long.
WEB_THREADS = env.whole("WEB_THREADS", default=8, at_least=1, at_most=1_000)
WEB_CPU_AFFINITY = env.bool("WEB_CPU_AFFINITY", default=True)
# Where they agree which takes which CPU.
CPU_LOCKS_DIR = _shared_dir / "cpus"
# How far web processes, and workers that do jobs alone, step back from the database and the projections.
WEB_NICENESS = env.whole("WEB_NICENESS", default=4, at_least=0, at_most=19)
JOBS_NICENESS = env.whole("JOBS_NICENESS", default=4, at_least=0, at_most=19)

# --- Django -----------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "bank",
    "eventstore",
    "accounts",
    "transfers",
    "projections",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "axes",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "bank.request_id.RequestIdMiddleware",
    "bank.request_record.RequestRecordMiddleware",
    "bank.loopback_only.LoopbackOnlyMiddleware",
    "bank.middleware.ApiMiddleware",
    # From here on for people's pages.
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "bank.middleware.AdminSessionMiddleware",
    "bank.middleware.AdminCsrfMiddleware",
    "bank.middleware.AdminAuthenticationMiddleware",
    "bank.middleware.AdminMessageMiddleware",
    "bank.middleware.AdminFrameMiddleware",
    "bank.middleware.PageContentMiddleware",
    "bank.middleware.AdminSignInMiddleware",
]
ROOT_URLCONF = "bank.urls"
WSGI_APPLICATION = "bank.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "/static/"
# Serves the admin's own files straight from its package: no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True

# --- the API ----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["bank.json_format.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["bank.json_format.StrictJsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "bank.json_format.JsonOnly",
    "DEFAULT_AUTHENTICATION_CLASSES": ["bank.authentication.BearerTokenAuthentication"] if API_AUTH == "token" else [],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HoldsPermission"] if API_AUTH == "token" else [],
    "DEFAULT_THROTTLE_CLASSES": ["bank.throttling.PrincipalThrottle"] if API_AUTH == "token" else [],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "bank.error_views.answer_drf_exception",
    "DEFAULT_SCHEMA_CLASS": "bank.openapi.OperationSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Bank",
    "DESCRIPTION": "Accounts, money and their history. Amounts are whole numbers of minor units: 1000 in USD is USD "
    "10.00. A command with a key is done once, however often it is sent. Whatever goes wrong is told as "
    "`application/problem+json`, with a stable `code`. Every URL also takes OPTIONS, and HEAD where it takes GET. "
    "docs/api.md in the bank's repository is the guide.",
    "VERSION": "1",
    # Says what 3.0 cannot: constants, and what names an object may have.
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["bank.openapi.described_endpoints"],
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
}

# --- logs -------------------------------------------------------------------------------------------------------------

LOG_FORMAT = env.str("LOG_FORMAT", default="json")
if LOG_FORMAT not in LINE_FORMATS:
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; it must be one of {', '.join(LINE_FORMATS)}")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}; it must be DEBUG, INFO, WARNING, ERROR or CRITICAL")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "bank.logs.line_formatter", "line_format": LOG_FORMAT}},
    "handlers": {"stderr": {"class": "bank.logs.LineHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Those that bring handlers of their own.
        "django": {"handlers": [], "level": LOG_LEVEL},
        "_granian": {"handlers": []},
        # A line for every tick of beat, whether it is sent, received or too late: nothing that anybody wants to know.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.worker.request": {"level": "WARNING"},
        # The statements, with the values in them.
        "django.db.backends": {"level": "INFO"},
        # They write a line for every answer from 400, and for every scanner: that is the clients' to know.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
