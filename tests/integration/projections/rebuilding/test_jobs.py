"""Rebuilds that somebody asked for: found in the database, done once, and gone on with after their worker's death."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from subprocess import Popen
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from eventstore.store import event_store
from projections.models import ProjectionJob, ProjectionRebuild, RebuildPart
from projections.projectors import PROJECTORS
from projections.rebuilding import jobs
from projections.rebuilding.exceptions import PartProcessDied, SwapBlocked
from projections.rebuilding.jobs import request_rebuild, work_on_jobs
from projections.rebuilding.parts import events_done
from projections.runner import catch_up
from tests.integration.eventstore.log_copies import raw_connection
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.integration.projections.rebuilding.catalogue import identity_of
from tests.integration.projections.test_run_projections import worker_with
from tests.polling import wait_until

NAMES = [projector.name for projector in PROJECTORS]


@pytest.fixture(autouse=True)
def no_jobs() -> None:
    ProjectionJob.objects.all().delete()


def work() -> None:
    work_on_jobs(should_stop=lambda: False)


def ask(**said) -> ProjectionJob:
    return request_rebuild(reason="a test", metadata={"actor": "staff"}, **said)


def test_whoever_asks_while_one_is_unfinished_gets_that_one():
    with ThreadPoolExecutor(4) as pool:

        def ask_and_leave(_: int) -> ProjectionJob:
            try:
                return ask()
            finally:
                connection.close()

        assert len({job.pk for job in pool.map(ask_and_leave, range(8))}) == 1
    first = ask()
    work()
    first.refresh_from_db()
    assert (first.state, first.projections_done) == ("SUCCEEDED", NAMES)
    assert first.started_at and first.finished_at
    assert first.requested_at <= first.started_at <= first.finished_at
    assert ask().pk != first.pk


def test_a_job_for_one_projection_leaves_the_others_alone():
    before = {name: identity_of(name) for name in NAMES}
    job = ask(projection="account_summary")
    work()
    job.refresh_from_db()
    assert (job.state, job.projections_done) == ("SUCCEEDED", ["account_summary"])
    assert [name for name in NAMES if identity_of(name) != before[name]] == ["account_summary"]


def test_what_another_process_rebuilds_is_left_to_it():
    job = ask(projection="account_summary")
    with raw_connection() as other:
        other.execute("SELECT pg_advisory_lock(4711002, hashtext('account_summary'))")
        work()
        job.refresh_from_db()
        assert job.state == "QUEUED"
    work()
    job.refresh_from_db()
    assert job.state == "SUCCEEDED"


def test_a_swap_that_is_blocked_fails_the_job_and_the_next_goes_on_from_there(settings):
    settings.REBUILD_SWAP_SECONDS = 0
    job = ask(projection="account_summary")
    with raw_connection() as long_reader:
        long_reader.execute("BEGIN; SELECT count(*) FROM account_summary")
        work()
    job.refresh_from_db()
    assert job.state == "FAILED"
    assert job.error.startswith(f"{SwapBlocked.__name__}: account_summary was not swapped, in 1 tries: ")
    assert ProjectionRebuild.objects.get(projection="account_summary").phase == "CATCHING_UP"
    job = ask(projection="account_summary")
    work()
    job.refresh_from_db()
    assert (job.state, job.error) == ("SUCCEEDED", None)


def test_a_worker_that_is_told_to_stop_leaves_the_job_to_the_next(monkeypatch):
    job = ask()
    stopping = iter([False] * 6)
    work_on_jobs(should_stop=lambda: next(stopping, True))
    job.refresh_from_db()
    assert job.state == "RUNNING"
    done = list(job.projections_done)
    assert done == NAMES[: len(done)] != NAMES
    tables = {name: identity_of(name) for name in done}
    work()
    job.refresh_from_db()
    assert (job.state, job.projections_done) == ("SUCCEEDED", NAMES)
    assert tables == {name: identity_of(name) for name in done}


def test_a_job_that_fails_says_with_what(monkeypatch):
    def fail(**_) -> None:
        raise RuntimeError("no \0 such luck")

    job = ask()
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "rebuild_projection", fail)
        work()
    job.refresh_from_db()
    assert (job.state, job.error) == ("FAILED", "RuntimeError: no \N{REPLACEMENT CHARACTER} such luck")


def test_a_job_whose_processes_die_fails_and_says_so(monkeypatch):
    """Else beat would have it tried again for ever, and no other job after it."""

    def died(**_: object) -> None:
        raise PartProcessDied("a process that rebuilt account_summary died")

    job = ask()
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "rebuild_projection", died)
        work()
    job.refresh_from_db()
    assert (job.state, job.error) == ("FAILED", "PartProcessDied: a process that rebuilt account_summary died")


def jobs_worker(**variables: str) -> AbstractContextManager[Popen[bytes]]:
    return worker_with(task="projections.work_on_jobs", threads=4, **variables)


def test_a_killed_workers_job_is_gone_on_with():
    streams = [busy_account(40) for _ in range(40)]
    append(*streams)
    catch_up()
    job = ask()
    with jobs_worker(REBUILD_BATCH_EVENTS="7", REBUILD_PROCESSES="1") as process:
        wait_until(lambda: RebuildPart.objects.filter(events_done__gt=50).exists())
        process.send_signal(signal.SIGKILL)
        process.wait()
    job.refresh_from_db()
    assert job.state == "RUNNING"
    done = events_done(rebuild=ProjectionRebuild.objects.get(projection=job.current))
    assert done > 0

    told = []
    listener = jobs._Note.__call__

    def listen(note, progress) -> None:
        told.append(progress)
        listener(note, progress)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jobs._Note, "__call__", listen)

        def is_done() -> bool:
            work()
            return ProjectionJob.objects.get(pk=job.pk).state == "SUCCEEDED"

        wait_until(is_done)
    assert told[0].events_done >= done
    assert_read_models_match([stream.stream_id for stream in streams])


def test_a_worker_does_what_the_api_and_the_back_office_ask_for():
    client = Client()
    answer = client.generic("POST", "/api/admin/projections/accounts/rebuild-all")
    assert answer.status_code == 202
    job = answer.json()
    assert job["state"] == "QUEUED"
    assert [one["state"] for one in job["projections"]] == ["WAITING"] * 3
    again = client.post(
        "/api/admin/projections/accounts/rebuild-all", '{"reason": "again"}', content_type="application/json"
    )
    assert (again.status_code, again.json()["jobId"]) == (202, job["jobId"])
    with jobs_worker():
        wait_until(lambda: client.get(answer.headers["Location"]).json()["state"] == "SUCCEEDED")
    told = client.get(answer.headers["Location"]).json()
    assert told["projections"] == [{"projection": name, "state": "DONE"} for name in NAMES]
    assert told["finishedAt"] >= told["startedAt"] >= told["requestedAt"]


def test_jobs_that_are_not_there():
    for unknown in (uuid4(), "1", "%00"):
        answer = Client().get(f"/api/admin/projections/jobs/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_in_memory_bank_says_that_it_cannot(settings):
    settings.IN_MEMORY = True
    answer = Client().generic("POST", "/api/admin/projections/accounts/rebuild-all")
    assert (answer.status_code, answer.json()["code"]) == (501, "needs_postgresql")
    assert not ProjectionJob.objects.exists()


def browser_of(role: str) -> Client:
    member = User.objects.create_user(f"staff-{uuid4()}", is_staff=True)
    member.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(member)
    return browser


def test_operations_ask_in_the_back_office_with_a_reason():
    browser, address = browser_of("operations"), reverse("admin:rebuild_projections")
    page = reverse("admin:projections_projectionjob_changelist")
    assert "Build read models again" in browser.get(page).content.decode()
    for bad in ({}, {"reason": ""}, {"reason": "x" * 501}, {"reason": "a\0b"}, {"reason": "x", "projection": "none"}):
        assert browser.post(address, bad).headers["Location"] == page
        assert not ProjectionJob.objects.exists()
    assert browser.get(address).status_code == 405

    asked = browser.post(address, {"projection": "account_summary", "reason": "rows were changed"})
    job = ProjectionJob.objects.get()
    assert asked.headers["Location"] == reverse("admin:projections_projectionjob_change", args=(job.pk,))
    assert (job.projection, job.reason) == ("account_summary", "rows were changed")
    assert job.requested_by.startswith("staff-")
    [act] = event_store().read_all(after_position=event_store().head_position() - 1, limit=1)
    assert (act.event_type, act.stream_id[:11], act.metadata) == (
        *("RebuildRequested", "operations-"),
        {"actor": job.requested_by},
    )
    assert act.data == {"projection": "account_summary", "reason": "rows were changed"}
    assert "0 of 1" in browser.get(page).content.decode()
    work()
    assert "1 of 1" in browser.get(asked.headers["Location"]).content.decode()


def test_auditors_look_on():
    browser = browser_of("auditor")
    page = browser.get(reverse("admin:projections_projectionjob_changelist"))
    assert page.status_code == 200
    assert "Build read models again" not in page.content.decode()
    assert browser.post(reverse("admin:rebuild_projections"), {"reason": "mine"}).status_code == 403
    assert not ProjectionJob.objects.exists()
