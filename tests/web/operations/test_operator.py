"""The operator's pages: queue, workers, failed jobs and dead emails, with their buttons."""

import re
from dataclasses import replace

import pytest
import redis
import time_machine
from flask import Flask
from sqlalchemy import select

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.jobs.scheduler import look
from portal.models import Email, User
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.fixtures.valkey.rq_jobs import a_failed_job, a_worker, enqueue
from tests.web import HTMX, browser_of


@pytest.fixture
def olga(app: Flask, database: str) -> None:
    """An operator, and a plan of Amal for Omar."""
    with app.app_context():
        people.an_operator()
        people.omar()
        people.a_plan(people.amal())


def a_dead_mail(app: Flask, number: int = 0) -> int:
    """A dead receipt for Omar."""
    with app.app_context():
        omar, now = db.session.scalars(select(User.id).where(User.username == "omar")).one(), clock.now()
        row = Email(dedupe_key=f"x:{number}", kind="receipt", to_user_id=omar, state="dead", ended_at=now)
        row.next_try_at = row.created_at = now
        row.last_error, row.error_detail, row.attempts = "server_said", "550 No such mailbox", 8
        db.session.add(row)
        db.session.commit()
        return row.id


def said(page: str) -> str:
    """The page's text on one line, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_operator_sees_workers_queue_failed_jobs_and_dead_emails(
    app: Flask, olga: None, valkey: redis.Redis
) -> None:
    browser = browser_of(app, "olga")
    words = said(browser.get("/operator").text)
    assert "Nobody works" in words and "No job has failed." in words and "No mail was given up." in words
    with time_machine.travel(clock.now(), tick=False):
        a_worker(valkey, "shop-1")
        look(valkey, ())
        enqueue(valkey, "drain_outbox")
        a_failed_job(valkey, "settle_payment", 4, said="ValueError: <b>no such plan</b>")
        a_dead_mail(app)
        page = browser.get("/operator")
    words = said(page.text)
    assert "Database, Valkey, scheduler and workers answer." in words
    assert "Jobs in the queue 1 " in words and "Scheduler ticked just now As it should" in words
    assert "shop-1 Waits for work Nothing just now" in words
    assert "settle_payment 4 Failed just now ValueError: &lt;b&gt;no such plan&lt;/b&gt;" in words
    assert "Receipt to" in words and "The mail server said: 550 No such mailbox" in words
    assert "Sign out" in words
    part = browser.get("/operator", headers=HTMX)
    assert part.text.lstrip().startswith('<div class="stack-lg" id="operator-figures"') and "shop-1" not in part.text


def test_a_failed_job_is_retried_or_cleared(app: Flask, olga: None, valkey: redis.Redis) -> None:
    browser = browser_of(app, "olga")
    first, second, third = (a_failed_job(valkey, "settle_payment", number) for number in range(3))
    response = browser.post(f"/operator/jobs/{first.id}/retry", follow_redirects=True)
    assert "The job is in the queue again." in response.text
    assert queue.queue_on(valkey).get_job_ids()[:1] == [first.id]
    response = browser.post(f"/operator/jobs/{first.id}/retry", follow_redirects=True)
    assert "This job is not on the list of failed jobs any more." in response.text
    response = browser.post(f"/operator/jobs/{second.id}/clear", follow_redirects=True)
    assert "The job is off the list." in response.text and f"/operator/jobs/{third.id}/clear" in response.text
    response = browser.post("/operator/jobs/clear", follow_redirects=True)
    assert "No job has failed." in response.text
    assert queue.queue_on(valkey).get_job_ids().count(first.id) == 1


def test_a_dead_email_is_queued_again(app: Flask, olga: None, valkey: redis.Redis) -> None:
    browser, mail_id = browser_of(app, "olga"), a_dead_mail(app)
    assert f'action="/outbox/{mail_id}/resend"' in browser.get("/operator").text
    assert browser.post(f"/outbox/{mail_id}/resend").status_code == 303
    assert "No mail was given up." in browser.get("/operator").text
    with app.app_context():
        row = db.session.get_one(Email, mail_id)
        assert (row.state, row.attempts) == ("waiting", 0)


def test_every_button_requires_the_forms_token(app: Flask, olga: None, valkey: redis.Redis) -> None:
    browser = browser_of(app, "olga")
    job = a_failed_job(valkey, "settle_payment", 4)
    page = browser.get("/operator").text
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        for address in (f"jobs/{job.id}/retry", f"jobs/{job.id}/clear", "jobs/clear"):
            assert f'action="/operator/{address}"' in page
            assert browser.post(f"/operator/{address}").status_code == 400
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
    assert queue.queue_on(valkey).failed_job_registry.get_job_ids() == [job.id]


def test_without_valkey_the_page_says_so_and_shows_the_rest(
    app: Flask, olga: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_dead_mail(app)
    browser = browser_of(app, "olga")
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url="unix:///nowhere/valkey.sock"))
    response = browser.get("/operator")
    words = said(response.text)
    assert response.status_code == 200
    assert (
        "Valkey does not answer Requests go on without it" in words
        and "The mail server said: 550 No such mailbox" in words
    )
    assert "Nobody works" not in words and "No job has failed" not in words
    response = browser.post("/operator/jobs/clear", follow_redirects=True)
    assert "Valkey does not answer. Nothing was changed." in response.text


def test_an_unreadable_job_has_a_name_and_a_message(app: Flask, olga: None, valkey: redis.Redis) -> None:
    look(valkey, ())
    job = a_failed_job(valkey, "settle_payment", 4)
    valkey.delete(f"rq:results:{job.id}")
    valkey.hset(job.key, "data", b"\x80 no job of ours")
    page = browser_of(app, "olga").get("/operator").text
    assert "a job that can’t be read Failed just now It left no message." in said(page)
    assert 'aria-label="What a job that can’t be read said">It left no message.</pre>' in page


def test_the_number_of_queries_does_not_depend_on_the_number_of_emails(
    app: Flask, olga: None, valkey: redis.Redis
) -> None:
    browser, counts = browser_of(app, "olga"), []
    for several in (1, 15):
        for number in range(several):
            a_dead_mail(app, 100 * several + number)
        with queries(app) as sent:
            assert browser.get("/operator").status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 11, counts


def test_the_operator_runs_all_checks(app: Flask, olga: None) -> None:
    page = browser_of(app, "olga").get("/operator/checks")
    assert "Every plan&#39;s installments add up to its total" in page.text
    assert "broken" not in page.text.replace("Anything broken here", "")


def test_the_page_is_for_operators(app: Flask, database: str) -> None:
    with app.app_context():
        people.amal()
        people.omar()
    for name in ("amal", "omar"):
        for address in ("/operator", "/operator/checks"):
            assert browser_of(app, name).get(address).status_code == 403
    assert app.test_client().get("/operator").location == "/login?next=/operator"
