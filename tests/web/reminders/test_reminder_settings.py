"""The merchant's reminder settings."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import Merchant
from portal.web.labels import reminder_words

SENT = {"days_before": "7, 3", "due_day": "y", "days_after": "1 14", "sending_hour": "18"}


def saved_settings(app: Flask) -> tuple[list[int], int]:
    with app.app_context():
        row = db.session.scalars(db.select(Merchant)).one()
        return row.reminder_days, row.sending_hour


def test_the_days_and_the_hour_are_saved(app: Flask, amal: FlaskClient) -> None:
    page = amal.get("/settings/reminders").text
    assert 'value="3"' in page and 'value="1, 7, 14"' in page and 'selected value="9"' in page and "checked" in page
    response = amal.post("/settings/reminders", data=SENT)
    assert (response.status_code, response.location) == (303, "/settings/reminders")
    assert saved_settings(app) == ([-7, -3, 0, 1, 14], 18)
    page = amal.get("/settings/reminders").text
    assert "Your reminders are saved." in page
    assert 'value="7, 3"' in page and 'value="1, 14"' in page and 'selected value="18"' in page


def test_without_days_no_reminders_are_sent(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    assert amal.post("/settings/reminders", data={"sending_hour": "9"}).status_code == 303
    assert saved_settings(app) == ([], 9)
    assert "Nobody is reminded, because no days are chosen." in amal.get(f"/plans/{ids['plan']}").text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("days_before", "three", "Enter whole days with commas between"),
        ("days_before", "-3", "Enter whole days with commas between"),
        ("days_before", "0", "Enter whole days with commas between"),
        ("days_before", "٣", "Enter whole days with commas between"),
        ("days_before", "61", "Remind at most 60 days before."),
        ("days_after", "1e3", "Enter whole days with commas between"),
        ("days_after", "9223372036854775808", "Enter whole days with commas between"),
        ("days_after", "1," * 200, "Enter whole days with commas between"),
        ("days_after", "91", "Remind at most 90 days after."),
        ("days_after", "1,2,3,4,5,6,7,8", "Choose at most 10 reminders in all."),
        ("days_after", "1\x00", "This holds a character that can&#39;t be used."),
        ("sending_hour", "24", "Choose an hour of the day."),
        ("sending_hour", "", "Choose an hour of the day."),
    ],
)
def test_an_invalid_value_is_refused_and_kept_in_the_form(
    app: Flask, amal: FlaskClient, field: str, value: str, message: str
) -> None:
    response = amal.post("/settings/reminders", data=SENT | {field: value})
    assert response.status_code == 422
    assert message in response.text
    assert saved_settings(app) == ([-3, 0, 1, 7, 14], 9)
    if field != "sending_hour" and "\x00" not in value:
        assert f'value="{value}"' in response.text


def test_a_single_day_is_worded_in_the_singular() -> None:
    merchant = Merchant(reminder_days=[-1, 1], sending_hour=7)
    assert reminder_words(merchant) == "Reminded 1 day before the due date and 1 day after it, from 07:00."
