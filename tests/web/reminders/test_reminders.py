"""Pages of reminders: when Amal sends them, her button, her mutes, and what Omar wants to hear."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.jobs import tasks
from portal.models import Event, Merchant, Mute, User
from portal.services.reminders import unsubscribe
from portal.web.labels import reminder_words
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.fixtures.reminding import deliver, posted
from tests.web import browser_of

SENT = {"days_before": "7, 3", "due_day": "y", "days_after": "1 14", "sending_hour": "18"}


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        found = {"amal": people.amal(), "omar": people.omar()}
        found["plan"] = people.a_plan(found["amal"], count=2)
    return found


@pytest.fixture
def amal(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "amal")


@pytest.fixture
def omar(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "omar")


def chosen(app: Flask) -> tuple[list[int], int]:
    with app.app_context():
        row = db.session.scalars(db.select(Merchant)).one()
        return row.reminder_days, row.sending_hour


def test_amal_chooses_days_and_hour(app: Flask, amal: FlaskClient) -> None:
    page = amal.get("/settings/reminders").text
    assert 'value="3"' in page and 'value="1, 7, 14"' in page and 'selected value="9"' in page and "checked" in page
    answer = amal.post("/settings/reminders", data=SENT)
    assert (answer.status_code, answer.location) == (303, "/settings/reminders")
    assert chosen(app) == ([-7, -3, 0, 1, 14], 18)
    page = amal.get("/settings/reminders").text
    assert "Your reminders are saved." in page
    assert 'value="7, 3"' in page and 'value="1, 14"' in page and 'selected value="18"' in page


def test_no_days_at_all_mean_no_reminders(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    assert amal.post("/settings/reminders", data={"sending_hour": "9"}).status_code == 303
    assert chosen(app) == ([], 9)
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
def test_what_cannot_be_saved_is_said_kept_and_not_written(
    app: Flask, amal: FlaskClient, field: str, value: str, message: str
) -> None:
    answer = amal.post("/settings/reminders", data=SENT | {field: value})
    assert answer.status_code == 422
    assert message in answer.text
    assert chosen(app) == ([-3, 0, 1, 7, 14], 9)
    if field != "sending_hour" and "\x00" not in value:
        assert f'value="{value}"' in answer.text


def test_amal_sends_a_reminder_once_a_day(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    page = amal.get(f"/plans/{ids['plan']}").text
    assert "Reminded 3 days before the due date, on the due day and 1, 7 and 14 days after it, from 09:00." in page
    answer = amal.post(f"/plans/{ids['plan']}/reminders")
    assert (answer.status_code, answer.location) == (303, f"/plans/{ids['plan']}")
    assert "The reminder is on its way." in amal.get(answer.location).text
    amal.post(f"/plans/{ids['plan']}/reminders")
    assert "This customer has a reminder from you today already." in amal.get(answer.location).text
    with app.app_context():
        assert posted() == 1
        assert len(deliver()) == 1
    assert "Reminder sent for installment 1" in amal.get(answer.location).text


def test_amal_mutes_a_plan_and_a_customer_and_takes_it_back(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    plan, customer = f"/plans/{ids['plan']}", f"/customers/{ids['omar']}"
    assert amal.post(f"{plan}/mute").location == plan
    page = amal.get(plan).text
    assert "Muted since" in page and "Send a reminder now" not in page
    amal.post(f"{plan}/unmute")
    assert "Send a reminder now" in amal.get(plan).text
    assert amal.post(f"{customer}/mute").location == customer
    assert "is reminded of none of their plans with you" in amal.get(customer).text
    assert "are muted for all their plans with you" in amal.get(plan).text
    with app.app_context():
        assert db.session.get(Mute, (ids["amal"], ids["omar"])) is not None
    amal.post(f"{customer}/unmute")
    assert "Mute reminders" in amal.get(customer).text
    page = amal.get(plan).text
    for words in ("Reminders of this plan muted", "Reminders to the customer turned on again"):
        assert words in page
    with app.app_context():
        kinds = list(db.session.scalars(db.select(Event.kind).where(Event.plan_id == ids["plan"]).order_by(Event.id)))
    assert kinds[1:] == ["reminders.muted", "reminders.unmuted", "customer.muted", "customer.unmuted"]


def test_a_plan_of_which_nothing_is_owed_has_no_reminders(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    with app.app_context():
        done = people.a_plan(ids["amal"], count=1)
        people.pay(people.installments_of(done)[0].id, ids["omar"])
    assert "Send a reminder now" not in amal.get(f"/plans/{done}").text
    amal.post(f"/plans/{done}/reminders")
    assert "Nothing is owed on this plan any more." in amal.get(f"/plans/{done}").text


def test_the_timeline_says_once_that_an_installment_is_late(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
    with app.app_context():
        late = people.a_plan(ids["amal"], count=1, first=-5)
        for _ in range(2):
            tasks.mark_late_installments()
    assert amal.get(f"/plans/{late}").text.count("Installment 1 is late, SAR\u00a0100.00 unpaid") == 1


def test_omar_chooses_what_he_is_reminded_of(app: Flask, omar: FlaskClient, ids: dict[str, int]) -> None:
    assert "/account/reminders" in omar.get("/account/password").text
    assert "checked" in omar.get("/account/reminders").text
    omar.post("/account/reminders", data={})
    page = omar.get("/account/reminders").text
    assert "Your choice is saved." in page and "checked" not in page
    with app.app_context():
        assert not db.session.get_one(User, ids["omar"]).early_reminders
    omar.post("/account/reminders", data={"early": "y"})
    with app.app_context():
        assert db.session.get_one(User, ids["omar"]).early_reminders


class TestTheLinkInAMail:
    def link(self, app: Flask, customer_id: int) -> str:
        with app.app_context():
            return f"/reminders/off/{unsubscribe.token_of(customer_id)}"

    def wants(self, app: Flask, customer_id: int) -> bool:
        with app.app_context():
            return db.session.get_one(User, customer_id).early_reminders

    def test_opening_it_changes_nothing_and_its_button_does_without_signing_in(
        self, app: Flask, ids: dict[str, int]
    ) -> None:
        visitor, link = app.test_client(), self.link(app, ids["omar"])
        page = visitor.get(link)
        assert page.status_code == 200 and "Turn off early reminders?" in page.text
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert self.wants(app, ids["omar"])
        assert "Early reminders are off" in visitor.post(link).text
        assert not self.wants(app, ids["omar"])
        assert "Early reminders are off" in visitor.get(link).text

    def test_a_mail_program_may_press_it_with_one_click(self, app: Flask, ids: dict[str, int]) -> None:
        app.config["WTF_CSRF_ENABLED"] = True  # it has no token of ours
        try:
            answer = app.test_client().post(
                self.link(app, ids["omar"]), data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail"}
            )
        finally:
            app.config["WTF_CSRF_ENABLED"] = False
        assert answer.status_code == 200
        assert not self.wants(app, ids["omar"])

    @pytest.mark.parametrize(
        "change", [lambda link: link[:-1], lambda link: "/reminders/off/1", lambda link: link + "x"]
    )
    def test_a_link_that_is_not_whole_does_nothing(self, app: Flask, ids: dict[str, int], change) -> None:
        link = change(self.link(app, ids["omar"]))
        for answer in (app.test_client().get(link), app.test_client().post(link)):
            assert answer.status_code == 404
            assert "This link can&#39;t be used" in answer.text


def test_the_pages_cost_as_many_queries_as_they_need(app: Flask, amal: FlaskClient, omar: FlaskClient) -> None:
    for visitor, path, most in ((amal, "/settings/reminders", 1), (omar, "/account/reminders", 1)):
        with queries(app) as sent:
            assert visitor.get(path).status_code == 200
        assert len(sent) == most, (path, sent)


def test_a_day_is_named_in_words() -> None:
    merchant = Merchant(reminder_days=[-1, 1], sending_hour=7)
    assert reminder_words(merchant) == "Reminded 1 day before the due date and 1 day after it, from 07:00."
