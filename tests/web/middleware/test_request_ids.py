"""The line of each request in the log, and its id in the log of the jobs and mails that it causes."""

from typing import Any

from flask import Flask

from portal import queue
from portal.extensions import db
from portal.jobs.worker import WorkersJob
from portal.models import Email
from portal.services.accounts import api_keys, tokens
from portal.services.mail import delivery
from tests.conftest import LogLines
from tests.fixtures import people
from tests.web import browser_of


def last_request(log_lines: LogLines) -> dict[str, Any]:
    return [line for line in log_lines() if line["event"] == "request"][-1]


def test_a_request_is_logged_with_address_account_and_business(app: Flask, database: str, log_lines: LogLines) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        key = api_keys.create(people.owner(amal), name="Till")
    browser_of(app, "omar").get("/home")
    line = last_request(log_lines)
    assert (line["route"], line["address"], line["account"]) == ("/home", "127.0.0.1", omar)
    assert "business" not in line and line["request_id"]
    browser_of(app, "amal").get("/dashboard")
    line = last_request(log_lines)
    assert (line["account"], line["business"]) == (amal, amal)
    headers = {"Authorization": f"Bearer {key}"}
    app.test_client().get("/api/plans/", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    line = last_request(log_lines)
    assert (line["address"], line["business"], line["api_key"]) == ("192.0.2.7", amal, 1)
    app.test_client().get("/login", environ_base={"REMOTE_ADDR": "2001:db8:1:2:3:4:5:6"})
    assert last_request(log_lines)["address"] == "2001:db8:1:2::"
    assert not {"account", "business", "api_key"} & last_request(log_lines).keys()


def test_a_refused_request_is_logged_with_its_account(app: Flask, database: str, log_lines: LogLines) -> None:
    with app.app_context():
        omar = people.omar()
        access = tokens.start(omar).access
    browser_of(app, "omar").get("/operator")
    line = last_request(log_lines)
    assert (line["route"], line["status"], line["account"]) == ("/operator", 403, omar)
    headers = {"Authorization": f"Bearer {access}"}
    app.test_client().get("/api/webhook-endpoints/", headers=headers)
    line = last_request(log_lines)
    assert (line["status"], line["account"], line["address"]) == (403, omar, "127.0.0.1")


def test_an_address_without_a_page_is_logged_without_tokens(app: Flask, database: str, log_lines: LogLines) -> None:
    app.test_client().get("/wp-login.php?secret=1")
    assert last_request(log_lines)["path"] == "/wp-login.php"
    app.test_client().get("/invitation/Zm9vYmFyYmF6cXV4Zm9v/more")
    line = last_request(log_lines)
    assert (line["path"], line["status"]) == ("/invitation/.../more", 404)


def test_jobs_and_mails_are_logged_under_the_request_that_caused_them(
    app: Flask, database: str, valkey: Any, log_lines: LogLines
) -> None:
    with app.app_context():
        people.omar()
    app.test_client().post("/password-resets", data={"login": "omar"}, headers={"X-Request-Id": "the-request"})
    with app.app_context():
        assert [mail.data["request_id"] for mail in db.session.scalars(db.select(Email))] == ["the-request"]
        db.session.rollback()
        ids = [job.id for job in queue.queue_on(valkey).get_jobs() if job.meta["request_id"] == "the-request"]
        if not ids:  # a drain was enqueued a moment before
            queue.enqueue("drain_outbox")
            ids = [job.id for job in queue.queue_on(valkey).get_jobs()]
        job = WorkersJob.fetch(ids[0], connection=valkey)
        job.perform()
        (kept,) = [line for line in log_lines() if line["event"] == "mail.kept"]
        assert (kept["request_id"], kept["job"], kept["job_id"]) == ("the-request", "drain_outbox", job.id)
        assert delivery.drain() == 0
