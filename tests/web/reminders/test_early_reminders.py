"""The customer's choice about early reminders."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import User
from portal.services.reminders import unsubscribe


def test_a_customer_turns_early_reminders_off_and_on(app: Flask, omar: FlaskClient, ids: dict[str, int]) -> None:
    assert "/account/reminders" in omar.get("/account").text
    assert "checked" in omar.get("/account/reminders").text
    omar.post("/account/reminders", data={})
    page = omar.get("/account/reminders").text
    assert "Your choice is saved." in page and "checked" not in page
    with app.app_context():
        assert not db.session.get_one(User, ids["omar"]).early_reminders
    omar.post("/account/reminders", data={"early": "y"})
    with app.app_context():
        assert db.session.get_one(User, ids["omar"]).early_reminders


class TestUnsubscribeLink:
    def link(self, app: Flask, customer_id: int) -> str:
        with app.app_context():
            return f"/reminders/off/{unsubscribe.token_of(customer_id)}"

    def is_on(self, app: Flask, customer_id: int) -> bool:
        with app.app_context():
            return db.session.get_one(User, customer_id).early_reminders

    def test_its_button_turns_early_reminders_off_without_a_session(self, app: Flask, ids: dict[str, int]) -> None:
        visitor, link = app.test_client(), self.link(app, ids["omar"])
        page = visitor.get(link)
        assert page.status_code == 200 and "Turn off early reminders?" in page.text
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert self.is_on(app, ids["omar"])
        assert "Early reminders are off" in visitor.post(link).text
        assert not self.is_on(app, ids["omar"])
        assert "Early reminders are off" in visitor.get(link).text

    def test_a_one_click_unsubscribe_needs_no_csrf_token(self, app: Flask, ids: dict[str, int]) -> None:
        app.config["WTF_CSRF_ENABLED"] = True
        try:
            response = app.test_client().post(
                self.link(app, ids["omar"]), data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail"}
            )
        finally:
            app.config["WTF_CSRF_ENABLED"] = False
        assert response.status_code == 200
        assert not self.is_on(app, ids["omar"])

    @pytest.mark.parametrize(
        "change", [lambda link: link[:-1], lambda link: "/reminders/off/1", lambda link: link + "x"]
    )
    def test_a_malformed_link_gets_a_404_page(self, app: Flask, ids: dict[str, int], change) -> None:
        link = change(self.link(app, ids["omar"]))
        for response in (app.test_client().get(link), app.test_client().post(link)):
            assert response.status_code == 404
            assert "This link can&#39;t be used" in response.text
