"""Tokens are looked up once in a while: between, they cost no query, and what ended them is seen in time."""

from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import RequestFactory
from django.utils import timezone
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from accounts.domain.access import EVERY_ACCOUNT
from accounts.permissions import Permission, Principal
from bank import authentication
from bank.authentication import TRUST_SECONDS, BearerTokenAuthentication
from bank.models import AccountGrant
from bank.throttling import turned_away_too_often
from tests.fiber_scene import scene as scene
from tests.journeys.principals import bearer, issue_token
from tests.round_trips import round_trips


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> Clock:
    """Give each test trusted tokens of its own, and a clock for them."""
    clock = Clock()
    trusted = type(authentication._trusted)(maxsize=3, ttl=TRUST_SECONDS, timer=clock)
    monkeypatch.setattr(authentication, "_trusted", trusted)
    return clock


@pytest.fixture
def name() -> str:
    return f"client-{uuid4()}"


def principal(token: str) -> Principal:
    request = Request(RequestFactory().get("/api/accounts", headers=bearer(token)))
    authenticated = BearerTokenAuthentication().authenticate(request)
    assert authenticated is not None
    return authenticated[0]


def test_a_warm_token_costs_no_query(name, clock):
    token = issue_token(name)
    assert round_trips(lambda: principal(token)) > 0
    assert round_trips(lambda: principal(token)) == 0
    clock.seconds += TRUST_SECONDS - 0.001
    assert round_trips(lambda: principal(token)) == 0
    clock.seconds += 0.001
    assert round_trips(lambda: principal(token)) > 0


def test_a_token_is_trusted_for_less_than_ten_seconds():
    assert 0 < TRUST_SECONDS < 10


def test_the_token_itself_is_not_kept(name):
    token = issue_token(name)
    principal(token)
    [(digest, verified)] = authentication._trusted.items()
    [kept] = get_token_model().objects.filter(user__username=name)
    assert digest == kept.digest
    assert token not in repr(verified)


def test_a_token_that_was_refused_is_looked_up_again(name):
    user = User.objects.create_user(name)
    _, token = get_token_model().objects.create(user=user)
    user.is_active = False
    user.save()
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            principal(token)
    user.is_active = True
    user.save()
    assert principal(token).username == name


def test_a_warm_token_that_expires_is_refused_at_once(name, monkeypatch):
    user = User.objects.create_user(name)
    _, token = get_token_model().objects.create(user=user, expiry=timedelta(hours=1))
    principal(token)
    later = timezone.now() + timedelta(hours=1, seconds=1)
    monkeypatch.setattr(timezone, "now", lambda: later)

    def refused() -> None:
        with pytest.raises(AuthenticationFailed):
            principal(token)

    assert round_trips(refused) == 0


@pytest.mark.parametrize("ending", ["revoked", "inactive", "deleted"])
def test_what_ends_a_warm_token_is_seen_in_time(name, clock, ending):
    token = issue_token(name)
    principal(token)
    user = User.objects.get(username=name)
    if ending == "revoked":
        call_command("revoke_token", name, stdout=StringIO())
    elif ending == "inactive":
        User.objects.filter(pk=user.pk).update(is_active=False)
    else:
        user.delete()
    clock.seconds += TRUST_SECONDS
    with pytest.raises(AuthenticationFailed):
        principal(token)


def test_roles_and_grants_are_seen_in_time(name, clock):
    token = issue_token(name)
    before = principal(token)
    user = User.objects.get(username=name)
    assert (before.pk, before.reach.client_id, before.reach.granted) == (str(user.pk), str(user.pk), frozenset())
    AccountGrant.objects.create(client=user, account_id="acc-granted")
    user.groups.add(Group.objects.get(name="operations"))
    assert principal(token) == before
    user.groups.remove(Group.objects.get(name="operations"))
    clock.seconds += TRUST_SECONDS
    assert principal(token).reach.granted == {"acc-granted"}
    assert principal(token).permissions == before.permissions
    user.groups.set([Group.objects.get(name="operations")])
    clock.seconds += TRUST_SECONDS
    assert principal(token).reach == EVERY_ACCOUNT
    assert Permission.FREEZE_ACCOUNT in principal(token).permissions
    assert Permission.DEPOSIT_MONEY not in principal(token).permissions


def test_from_an_address_of_too_many_guesses_nothing_is_looked_up(name, settings, monkeypatch):
    settings.THROTTLE_TURNED_AWAY_PER_MINUTE = 1
    monkeypatch.setattr("bank.throttling._minute", lambda: 1)
    address = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
    good, known = issue_token(name), issue_token(name)

    def present(token: str, *, expected: type[Exception] | None) -> None:
        request = Request(RequestFactory().get("/api/accounts", headers=bearer(token), REMOTE_ADDR=address))
        try:
            assert BearerTokenAuthentication().authenticate(request) and expected is None
        except (AuthenticationFailed, Throttled) as refusal:
            assert type(refusal) is expected
            too_often = [turned_away_too_often(request=request) for _ in range(2)]
            assert isinstance(too_often[-1], Throttled)

    present(known, expected=None)
    authentication._trusted.clear()
    present(uuid4().hex, expected=AuthenticationFailed)
    assert round_trips(lambda: present(good, expected=Throttled)) == 0
    assert round_trips(lambda: present(known, expected=None)) > 0
    authentication._trusted.clear()
    get_token_model().objects.filter(user__username=name).delete()
    present(known, expected=AuthenticationFailed)
    assert round_trips(lambda: present(known, expected=Throttled)) == 0


def test_no_more_tokens_are_kept_than_there_is_room_for(name):
    tokens = [issue_token(f"{name}-{number}") for number in range(4)]
    for token in tokens:
        principal(token)
    assert len(authentication._trusted) == 3
    assert round_trips(lambda: principal(tokens[0])) > 0
    assert round_trips(lambda: principal(tokens[0])) == 0


class TestInFibers:
    """Many requests with one token are under way at once: it is looked up once, and ahead of time."""

    def test_a_token_is_looked_up_once_for_all_who_bear_it(self, scene, name, monkeypatch):
        lookups: list[str] = []
        verified = BearerTokenAuthentication._verified

        def noted(self: BearerTokenAuthentication, digest: str, token: bytes) -> Any:
            lookups.append(digest)
            return verified(self, digest, token)

        monkeypatch.setattr(BearerTokenAuthentication, "_verified", noted)
        token = issue_token(name)
        principals = scene.run(*[partial(principal, token)] * 5)
        assert [principal.username for principal in principals] == [name] * 5
        assert len(lookups) == 1

    def test_a_token_that_is_unknown_is_unknown_to_all_who_bear_it(self, scene):
        errors = scene.run(*[partial(principal, "a" * 64)] * 3)
        assert [type(error) for error in errors] == [AuthenticationFailed] * 3

    def test_a_token_is_looked_up_again_before_its_trust_ends(self, scene, name, monkeypatch):
        token = issue_token(name)
        assert scene.run(partial(principal, token))[0].username == name
        [trusted] = authentication._trusted.values()
        monkeypatch.setattr(authentication, "AHEAD_SECONDS", TRUST_SECONDS)
        # Trusted still, so that nobody waits; and looked up beside.
        assert scene.run(partial(principal, token))[0].username == name
        scene.run_until(lambda: [*authentication._trusted.values()] != [trusted])
        get_token_model().objects.filter(user__username=name).delete()
        assert scene.run(partial(principal, token))[0].username == name
        scene.run_until(lambda: not authentication._trusted)
        assert isinstance(scene.run(partial(principal, token))[0], AuthenticationFailed)
