"""The notices of a member: the settings page, and the link of a mail."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.models.notices import DIGESTED, NOTICES
from portal.services.notices import settings
from portal.services.reminders import unsubscribe
from tests.fixtures import people
from tests.web import browser_of


@pytest.fixture
def amal_id(app: Flask, database: str) -> int:
    with app.app_context():
        return people.amal()


def chosen(app: Flask, user_id: int, merchant_id: int | None = None) -> settings.Choice:
    with app.app_context():
        return settings.choice_of(user_id, merchant_id or user_id)


def link(app: Flask, user_id: int, what: settings.What, merchant_id: int | None = None) -> str:
    with app.app_context():
        return f"/notices/off/{settings.token_of(user_id, merchant_id or user_id, what)}"


def test_everything_is_on_at_first_and_each_can_be_turned_off(app: Flask, amal_id: int) -> None:
    browser = browser_of(app, "amal")
    assert "/settings/notices" in browser.get("/settings").text
    page = browser.get("/settings/notices")
    assert page.text.count('type="checkbox"') == page.text.count("checked") - 1 == len(NOTICES)
    for notice in NOTICES:
        rest = {"digested": [one for one in DIGESTED if one != notice], "when": "daily"}
        rest["urgent"] = [one for one in NOTICES if one not in DIGESTED and one != notice]
        assert browser.post("/settings/notices", data=rest).status_code == 303
        assert set(chosen(app, amal_id).on) == set(NOTICES) - {notice}
    assert "Your choice is saved." in browser.get("/settings/notices").text


def test_none_at_all_and_at_once(app: Flask, amal_id: int) -> None:
    assert browser_of(app, "amal").post("/settings/notices", data={"when": "at_once"}).status_code == 303
    assert chosen(app, amal_id) == settings.Choice((), True)


@pytest.mark.parametrize("wrong", [{"when": "never"}, {}, {"when": "daily", "digested": ["lost"]}])
def test_what_is_no_choice_writes_nothing(app: Flask, amal_id: int, wrong: dict[str, object]) -> None:
    response = browser_of(app, "amal").post("/settings/notices", data=wrong)
    assert response.status_code == 422 and "field-wrong" in response.text
    assert chosen(app, amal_id) == settings.Choice(NOTICES, False)


def test_members_choose_for_themselves(app: Flask, amal_id: int) -> None:
    with app.app_context():
        zaid = people.a_member("zaid", amal_id, "manager")
    browser = browser_of(app, "zaid")
    browser.post("/account/hat", data={"merchant": amal_id})
    assert browser.post("/settings/notices", data={"when": "daily"}).status_code == 303
    assert chosen(app, zaid, amal_id).on == () and chosen(app, amal_id).on == NOTICES


class TestLink:
    def test_opening_it_changes_nothing_and_its_button_turns_the_digest_off(self, app: Flask, amal_id: int) -> None:
        visitor, address = app.test_client(), link(app, amal_id, "digest")
        page = visitor.get(address)
        assert page.status_code == 200 and "Turn these mails off?" in page.text and "amal@example.com" in page.text
        assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
        assert chosen(app, amal_id).on == NOTICES
        assert "These mails are off" in visitor.post(address).text
        assert chosen(app, amal_id).on == tuple(one for one in NOTICES if one not in DIGESTED)
        assert "These mails are off" in visitor.get(address).text
        assert visitor.post(address).status_code == 200, "a second press"

    def test_a_one_click_unsubscribe_needs_no_csrf_token(
        self, app: Flask, amal_id: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
        one_click = {"List-Unsubscribe": "One-Click"}
        response = app.test_client().post(
            link(app, amal_id, "bounced"), data=one_click, headers={"Origin": "https://mail"}
        )
        assert response.status_code == 200
        assert chosen(app, amal_id).on == tuple(one for one in NOTICES if one != "bounced")

    def test_a_choice_made_before_stays(self, app: Flask, amal_id: int) -> None:
        browser_of(app, "amal").post("/settings/notices", data={"when": "at_once", "urgent": ["accepted", "bounced"]})
        app.test_client().post(link(app, amal_id, "accepted"))
        assert chosen(app, amal_id) == settings.Choice(("bounced",), True)

    @pytest.mark.parametrize("change", [lambda at: at[:-1], lambda at: "/notices/off/1", lambda at: at + "x"])
    def test_a_malformed_link_gets_a_404_page(self, app: Flask, amal_id: int, change) -> None:
        address = change(link(app, amal_id, "digest"))
        for response in (app.test_client().get(address), app.test_client().post(address)):
            assert response.status_code == 404
            assert "This link can&#39;t be used" in response.text
        assert chosen(app, amal_id).on == NOTICES

    def test_a_link_of_reminders_turns_no_notices_off(self, app: Flask, amal_id: int) -> None:
        with app.app_context():
            token = unsubscribe.token_of(amal_id)
        assert app.test_client().post(f"/notices/off/{token}").status_code == 404

    def test_who_left_the_business_has_nothing_to_turn_off(self, app: Flask, amal_id: int, client: FlaskClient) -> None:
        with app.app_context():
            lina = people.a_member("lina", amal_id, "collector")
        for user_id in (lina, 10**9):
            assert client.post(link(app, user_id, "digest", amal_id)).status_code == 404
