"""The permissions of every route, for every kind of caller.

A route without a row fails the tests, so a new route needs a row in EXPECTED and a row in TEAM (team_statuses.py). Each
row of EXPECTED is tested for the plan of Amal and Omar, and by `make proof-short` for the plan of Badr and Sara, too:
the parties of one plan are strangers to the other. `make proof-short` tests each row of TEAM for plans of Amal, whose
team has a member of each role.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.domain.permissions import Role
from portal.extensions import db
from portal.models import ApiKey, Email, ShopReport
from portal.services.accounts import api_keys, password_resets, tokens
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms
from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from portal.services.mail import delivery
from portal.services.notices import settings as notices
from portal.services.payments import manual_payments, payment_methods, refunds
from portal.services.plans import plans, shop_reports
from portal.services.plans.plans import NewPlan
from portal.services.reminders import unsubscribe
from portal.services.team import invitations
from tests.fixtures import people, proofs, webhooks
from tests.fixtures.business import an_image
from tests.matrix.statuses import API, BODIES, CALLERS, EXPECTED
from tests.matrix.team_statuses import TEAM, TEAM_CALLERS
from tests.web import browser_of
from tests.web.imports import matrix_rows as import_rows
from tests.web.team import matrix_rows


@dataclass
class World:
    """Two merchants with a customer each, and the sessions and tokens of all callers."""

    browsers: dict[str, FlaskClient]
    bearers: dict[str, str]
    objects: dict[str, dict[str, Any]]


@pytest.fixture
def world(app: Flask, database: str) -> World:
    with app.app_context():
        ids = {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}
        ids["olga"] = people.an_operator()
        bearers = {name: tokens.start(user_id).access for name, user_id in ids.items()}
        objects = {}
        for merchant, customer in (("amal", "omar"), ("badr", "sara")):
            bearers[f"{merchant}'s key"] = api_keys.create(people.owner(ids[merchant]), name="Shop")
            objects[merchant] = objects_of(ids[merchant], ids[customer], customer)
            one_more = webhooks.an_endpoint(people.owner(ids[merchant]), "https://shop.example.com/hooks")
            objects[merchant]["deleted_on_page"] = one_more.name
        for made in objects.values():  # after the last mail, which makes a token, too
            made["team_token"] = invitations.make_link(made["team_invitation_id"])
    return World({name: browser_of(app, name) for name in ids}, bearers, objects)


@pytest.fixture
def team(app: Flask, database: str) -> World:
    """Amal's business with a member of each role, and members who owe. `objects` are by caller."""
    with app.app_context():
        amal, badr, omar = people.amal(), people.badr(), people.omar()
        api_keys.create(people.owner(amal), name="Shop")
        hats = dict.fromkeys(("manager", "collector", "viewer"), amal) | {"both hats": badr, "own plan": amal}
        names = {caller: caller.replace(" ", "-") for caller in hats}
        bearers, objects = {}, {}
        for caller, merchant_id in hats.items():
            role: Role = caller if caller in ("collector", "viewer") else "manager"  # type: ignore[assignment]
            user_id = people.a_member(names[caller], merchant_id, role)
            bearers[caller] = tokens.start(user_id, merchant_id).access
            owes = caller in ("both hats", "own plan")
            customer_id, name = (user_id, names[caller]) if owes else (omar, "omar")
            objects[caller] = objects_of(amal, customer_id, name)
        for made in objects.values():
            made["team_token"] = invitations.make_link(made["team_invitation_id"])
        reset_token = password_resets.make(omar)
    for caller in ("manager", "collector", "viewer"):
        objects[caller]["reset_token"] = reset_token
    browsers = {caller: browser_of(app, name) for caller, name in names.items()}
    for caller, browser in browsers.items():
        assert browser.post("/account/hat", data={"merchant": hats[caller]}).status_code == 303
    return World(browsers, bearers, objects)


def objects_of(merchant_id: int, customer_id: int, customer: str) -> dict[str, Any]:
    """The ids of a plan with payments and refunds, and of everything else that an address names."""
    owner, email = people.owner(merchant_id), f"{customer}@example.com"
    plan_id = people.a_plan(merchant_id, email, count=5)
    installments = [row.id for row in people.installments_of(plan_id)]
    new = NewPlan(f"new-{plan_id}@example.com", 1000, 1, people.today_of(merchant_id))
    payment_id = people.pay(installments[4], customer_id).id
    (refund_id,) = refunds.refund(plan_id, actor=owner, amount=1, reason="Why not").refund_ids
    to_ask = people.a_plan(merchant_id, email, first=10)
    reschedules.reschedule(to_ask, actor=owner, terms=NewTerms("shift", days=-2), reason="Please")
    letterheads.change(owner, Words(), file=an_image())
    to_change, to_write_off, to_dispute = (people.a_plan(merchant_id, email) for _ in range(3))
    cash = manual_payments.record(
        to_dispute, actor=owner, amount=1, method="cash", received_on=people.today_of(merchant_id)
    )
    token = people.token_of(plans.open_plan(owner, new).plan_id)
    shop_reports.report(token or "")
    return {
        "plan_id": plan_id,
        "to_change": to_change,
        "to_write_off": to_write_off,
        "to_dispute": to_dispute,
        "to_ask": to_ask,
        "merchant_id": merchant_id,
        "installments": installments,
        "payment_id": payment_id,
        "cash_id": cash.payment_id,
        "refund_id": refund_id,
        "method_id": payment_methods.save(customer_id, "card_ok").method_id,
        "saved_id": payment_methods.save(customer_id, "card_ok").method_id,
        "token": token,
        "report_id": db.session.scalars(db.select(ShopReport.id).order_by(ShopReport.id.desc())).first() or 0,
        "reset_token": password_resets.make(customer_id),
        "off_token": unsubscribe.token_of(customer_id),
        "notice_token": notices.token_of(merchant_id, merchant_id, "digest"),
        **proofs.links(customer),
        "outbox_id": _a_mail_to(customer_id),
        "customer_id": customer_id,
        **webhooks.two_endpoints(owner),
        **matrix_rows.objects_of(merchant_id),
        "import_id": import_rows.an_import(merchant_id),
        "contact_id": import_rows.a_contact(merchant_id),
        "person_id": import_rows.a_contact(merchant_id, "another"),
        "key_id": db.session.scalars(db.select(ApiKey.id).where(ApiKey.merchant_id == merchant_id)).one(),
    }


def _a_mail_to(user_id: int) -> int:
    """The id of a mail in the outbox, which keeps it without a mail server."""
    delivery.drain()
    return db.session.scalars(db.select(Email.id).where(Email.to_user_id == user_id)).first() or 0


def routes(app: Flask) -> list[str]:
    return [
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if method not in ("HEAD", "OPTIONS") and rule.endpoint != "static"
    ]


def test_every_route_has_a_row(app: Flask) -> None:
    assert set(routes(app)) == set(EXPECTED) == set(TEAM)


@pytest.mark.parametrize(
    ("merchant", "customer", "other_merchant", "other_customer"),
    [
        ("amal", "omar", "badr", "sara"),
        pytest.param("badr", "sara", "amal", "omar", marks=pytest.mark.long),
    ],
)
def test_every_caller_gets_the_status_of_the_table(
    app: Flask, world: World, merchant: str, customer: str, other_merchant: str, other_customer: str
) -> None:
    names = (
        None,
        customer,
        other_customer,
        merchant,
        other_merchant,
        "olga",
        f"{merchant}'s key",
        f"{other_merchant}'s key",
    )
    wrong = {}
    for route, expected in EXPECTED.items():
        statuses = [0] * len(names)
        for index in sorted(range(len(names)), key=is_party):  # strangers first, before a party changes the objects
            statuses[index] = request_status(app, world, route, names[index], world.objects[merchant])
        if tuple(statuses) != expected:
            wrong[route] = dict(zip(CALLERS, statuses, strict=True))
    assert wrong == {}


@pytest.mark.long
def test_every_member_gets_the_status_of_their_role(app: Flask, team: World) -> None:
    wrong = {}
    for route in TEAM:
        for index, caller in reversed(list(enumerate(TEAM_CALLERS))):
            status = request_status(app, team, route, caller, team.objects[caller])
            if status != TEAM[route][index]:
                wrong[f"{route} by {caller}"] = (status, TEAM[route][index])
    assert wrong == {}


def is_party(index: int) -> bool:
    return CALLERS[index] in ("customer", "merchant")


def request_status(app: Flask, world: World, route: str, caller: str | None, objects: dict[str, Any]) -> int:
    method, rule = route.split(" ")
    api = route in API
    installment = objects["installments"][0 if api else 1]
    to_change = {"dispute": "to_dispute", "write-off": "to_write_off"}
    changed = next((name for word, name in to_change.items() if word in route), "to_change")
    if method == "GET" and route.endswith(("/proposal", "/reschedule/")):
        changed = "to_ask"
    plan = objects[changed if route in BODIES or changed == "to_ask" else "plan_id"]
    deleted = "deleted_endpoint" if api or "deleted_on_page" not in objects else "deleted_on_page"
    address = (
        matrix_rows.in_address(rule, route, objects)
        .replace("<row:", "<int:")
        .replace("<int:plan_id>", str(plan))
        .replace("<int:installment_id>", str(installment))
        .replace("<int:payment_id>", str(objects["cash_id" if "void" in route else "payment_id"]))
        .replace("<int:refund_id>", str(objects["refund_id"]))
        .replace("<int:method_id>", str(objects["method_id" if api else "saved_id"]))
        .replace("<int:merchant_id>", str(objects["merchant_id"]))
        .replace("<int:customer_id>", str(objects["customer_id"]))
        .replace("<account>", "cash")
        .replace("<int:key_id>", str(objects["key_id"]))
        .replace("<int:user_id>", str(objects["customer_id"]))
        .replace("<int:draft_id>", "1")
        .replace("<int:import_id>", str(objects["import_id"]))
        .replace("<int:contact_id>", str(objects["contact_id"]))
        .replace("<int:person_id>", str(objects["person_id"]))
        .replace("<token>", objects["token"])
        .replace("<currency>", "SAR")
        .replace("<feed_token>", "no-such-feed-token-0123456789")
        .replace("<key>", "no-such-press-key")
        .replace("<reset_token>", objects["reset_token"])
        .replace("<off_token>", objects["off_token"])
        .replace("<notice_token>", objects["notice_token"])
        .replace("<proof_token>", objects["proof_token"])
        .replace("<undo_token>", objects["undo_token"])
        .replace("<int:outbox_id>", str(objects["outbox_id"]))
        .replace("<endpoint_name>", objects[deleted if "delete" in route.lower() else "endpoint"])
        .replace("<event_name>", f"evt_{0:032x}")
        .replace("<job_id>", "no-such-job")
        .replace("<outbox_token>", "no-such-token")
        .replace("<int:session_id>", "999999")
        .replace("<int:passkey_id>", "999999")
        .replace("<removal_token>", "unknown")
        .replace("<int:report_id>", str(objects["report_id"]))
    )
    assert "<" not in address, address
    headers = {"Authorization": f"Bearer {world.bearers[caller]}"} if caller and (api or "key" in caller) else {}
    client = world.browsers[caller] if caller in world.browsers and not api else app.test_client()
    return client.open(address, method=method, headers=headers, json=body_of(route)).status_code


def body_of(route: str) -> dict[str, object] | None:
    """The body of a request. Money is received today, which is another day than the run began on after midnight."""
    body = BODIES.get(route)
    return body | {"received_on": clock.today("Asia/Riyadh").isoformat()} if body and "method" in body else body
