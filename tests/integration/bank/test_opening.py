"""What the bank on one machine tells of its staff login."""

import pytest
from django.contrib.auth import get_user_model

from bank.opening import STAFF_NAME, staff_password


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
