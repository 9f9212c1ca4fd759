"""Sending a reminder now, and the plan's reminders on the pages."""

from flask import Flask
from flask.testing import FlaskClient

from portal.jobs import tasks
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.fixtures.reminders import deliver, posted


def test_a_reminder_is_sent_at_most_once_a_day(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    page = amal.get(f"/plans/{ids['plan']}").text
    assert "Reminded 3 days before the due date, on the due day and 1, 7 and 14 days after it, from 09:00." in page
    response = amal.post(f"/plans/{ids['plan']}/reminders")
    assert (response.status_code, response.location) == (303, f"/plans/{ids['plan']}")
    assert "The reminder is on its way." in amal.get(response.location).text
    amal.post(f"/plans/{ids['plan']}/reminders")
    assert "This customer has a reminder from you today already." in amal.get(response.location).text
    with app.app_context():
        assert posted() == 1
        assert len(deliver()) == 1
    assert "Reminder sent for installment 1" in amal.get(response.location).text


def test_a_paid_plan_has_no_reminders(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    with app.app_context():
        done = people.a_plan(ids["amal"], count=1)
        people.pay(people.installments_of(done)[0].id, ids["omar"])
    assert "Send a reminder now" not in amal.get(f"/plans/{done}").text
    amal.post(f"/plans/{done}/reminders")
    assert "Nothing is owed on this plan any more." in amal.get(f"/plans/{done}").text


def test_a_late_installment_has_one_timeline_entry(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    with app.app_context():
        late = people.a_plan(ids["amal"], count=1, first=-5)
        for _ in range(2):
            tasks.mark_late_installments()
    assert amal.get(f"/plans/{late}").text.count("Installment 1 is late, SAR\u00a0100.00 unpaid") == 1


def test_each_settings_page_takes_one_query(app: Flask, amal: FlaskClient, omar: FlaskClient) -> None:
    for visitor, path, most in ((amal, "/settings/reminders", 1), (omar, "/account/reminders", 1)):
        with queries(app) as sent:
            assert visitor.get(path).status_code == 200
        assert len(sent) == most, (path, sent)
