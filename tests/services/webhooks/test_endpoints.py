"""Acts on endpoints: security events of the business, mails to its owners, and none while an email is unsettled."""

import dataclasses

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.permissions import Actor
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.models import Email, User, WebhookAttempt
from portal.reports import security_events
from portal.services.mail import content
from portal.services.mail.facts import NoLongerTrue
from portal.services.webhooks import delivery, endpoints
from portal.wording import language
from portal.wording.refusals import fault_sentence
from portal.wording.security_events import security_event
from tests.fixtures import people
from tests.fixtures import proofs as mailed_proofs
from tests.fixtures.webhooks import an_endpoint

SHOP = "https://shop.example.com/hooks"


def made(owner: Actor) -> str:
    """The public id of a new endpoint."""
    name = an_endpoint(owner, SHOP).name
    db.session.rollback()
    return name


def mails() -> list[tuple[int | None, bool]]:
    """Receiver and novelty of each mail about an address."""
    db.session.rollback()
    rows = db.session.scalars(select(Email).where(Email.kind == "webhook_address").order_by(Email.id))
    return [(row.to_user_id, row.data["is_new"]) for row in rows]


def test_acts_on_endpoints_are_security_events_and_the_owners_are_mailed(amal: int) -> None:
    owner = people.owner(amal)
    name = made(owner)
    endpoints.change(name, actor=owner, types=["plan.created"], url=SHOP)
    endpoints.rotate(name, actor=owner)
    endpoints.change(name, actor=owner, url=f"{SHOP}/2")
    events = list(reversed(security_events.of_merchant(amal).items))
    assert [event.kind for event in events] == ["webhook_made", "webhook_rotated", "webhook_changed"]
    assert {event.user_id for event in events} == {amal}
    sentence = security_event("webhook_made", events[0].facts, name="Amal", by="Amal")
    assert sentence == f"Amal made the webhook endpoint {name}."
    assert mails() == [(amal, True), (amal, False)]


def test_no_address_and_no_secret_changes_while_a_change_of_the_email_can_be_undone(amal: int) -> None:
    owner = people.owner(amal)
    name = made(owner)
    mailed_proofs.change(amal, "amal-new@example.com")
    with pytest.raises(Refused, match="email_changed"):
        endpoints.create(owner, url=SHOP)
    with pytest.raises(Refused, match="email_changed"):
        endpoints.change(name, actor=owner, url=f"{SHOP}/2")
    with pytest.raises(Refused, match="email_changed"):
        endpoints.rotate(name, actor=owner)
    endpoints.change(name, actor=owner, enabled=False)
    assert len(mails()) == 1


def test_the_mail_says_who_sends_the_events_where(amal: int, arabic: None) -> None:
    owner = people.owner(amal)
    name = made(owner)
    endpoints.change(name, actor=owner, url=f"{SHOP}/2")
    new, moved = db.session.scalars(select(Email).where(Email.kind == "webhook_address").order_by(Email.id))
    for mail, verb in ((new, "made"), (moved, "changed")):
        facts = content.facts_of(mail)
        person = db.session.get_one(User, amal).display_name
        assert facts["text"].startswith(f"{person} {verb} a webhook endpoint") and f"{SHOP}/2" in facts["text"]
        assert facts["url"].endswith(f"/settings/webhooks/{name}")
    with language.in_language("ar"):
        assert "عنوان" in content.facts_of(new)["title"]
    endpoints.delete(name, actor=owner)
    with pytest.raises(NoLongerTrue):
        content.facts_of(new)


def test_a_scheme_in_capitals_is_stored_in_lower_case(amal: int) -> None:
    assert an_endpoint(people.owner(amal), "HTTPS://shop.example.com/Hooks").url == "https://shop.example.com/Hooks"


def test_an_endpoint_is_on_a_host_that_the_operators_permit(
    app: Flask, amal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(people.owner(amal))
    settings = dataclasses.replace(app.config["QIST"], webhook_hosts=("hooks.example.org",))
    monkeypatch.setitem(app.config, "QIST", settings)
    with pytest.raises(Invalid) as raised:
        made(people.owner(amal))
    (fault,) = raised.value.faults
    assert fault_sentence(fault) == "The operators of this site permit no webhooks to this host."
    db.session.rollback()
    with pytest.raises(Invalid):
        endpoints.change(before, actor=people.owner(amal), url=SHOP + "/2")
    db.session.rollback()
    endpoints.change(before, actor=people.owner(amal), url="https://hooks.example.org/")


def test_an_endpoint_of_before_gets_nothing_once_its_host_is_not_permitted(
    app: Flask, amal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(people.owner(amal))
    people.a_plan(amal)
    monkeypatch.setitem(
        app.config, "QIST", dataclasses.replace(app.config["QIST"], webhook_hosts=("hooks.example.org",))
    )
    assert delivery.deliver_due(resolve=lambda host, port: pytest.fail("it was looked up")) == 1
    assert db.session.scalars(select(WebhookAttempt.problem)).all() == ["refused_address"]


def test_an_endpoint_of_before_can_be_turned_off_and_deleted(
    app: Flask, amal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = made(people.owner(amal))
    monkeypatch.setitem(
        app.config, "QIST", dataclasses.replace(app.config["QIST"], webhook_hosts=("hooks.example.org",))
    )
    endpoints.change(name, actor=people.owner(amal), enabled=False)
    endpoints.delete(name, actor=people.owner(amal))
