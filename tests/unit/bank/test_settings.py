"""With which environment the bank refuses to start, and what it makes of the others."""

import runpy
import secrets
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ import Env

from tests.own_bank import PROJECT_DIR, environment, manage

STRONG = secrets.token_urlsafe(48)
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
