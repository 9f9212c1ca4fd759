"""Muting and unmuting reminders of a plan and to a customer."""

from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import Event, Mute


def test_a_plan_and_a_customer_are_muted_and_unmuted(app: Flask, amal: FlaskClient, ids: dict[str, int]) -> None:
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
