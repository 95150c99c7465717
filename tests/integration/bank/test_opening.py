"""What the bank on one machine tells of its staff login and of its client's token."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from knox.models import get_token_model

from bank.opening import CLIENT_NAME, STAFF_NAME, client_token, staff_password


@pytest.fixture
def staff():
    staff, _ = get_user_model().objects.get_or_create(username=STAFF_NAME)
    yield staff
    staff.delete()


def test_a_password_is_told_only_if_it_is_the_staffs(staff, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    file = tmp_path / "staff_password"
    file.write_text("made-at-the-first-start")
    staff.set_password("made-at-the-first-start")
    staff.save()
    assert staff_password() == "made-at-the-first-start"

    staff.set_password("changed-since")
    staff.save()
    assert staff_password() is None


def test_none_is_made_for_staff_that_have_one(staff, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    assert staff_password() is None
    assert list(tmp_path.iterdir()) == []


def test_the_clients_token_is_kept_for_as_long_as_it_is_good(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    tokens = get_token_model().objects.filter(user__username=CLIENT_NAME)
    token = client_token()
    assert [client_token(), (tmp_path / "client_token").read_text()] == [token, token]
    assert (tmp_path / "client_token").stat().st_mode & 0o777 == 0o600
    tokens.update(expiry=timezone.now() - timedelta(seconds=1))
    renewed = client_token()
    assert renewed != token and client_token() == renewed
    tokens.all().delete()
    assert client_token() != renewed
    (tmp_path / "client_token").write_text("nonsense")
    assert client_token() != "nonsense"
    [client] = {token.user for token in tokens.all()}
    assert [group.name for group in client.groups.all()] == ["client"]
