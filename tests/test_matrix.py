"""The permissions of every route, for every kind of caller.

A route without a row fails the tests, so a new route needs a row in EXPECTED and a row in TEAM (team_statuses.py). Each
row of EXPECTED is tested for the plan of Amal and Omar, and for the plan of Badr and Sara: the parties of one plan are
strangers to the other. Each row of TEAM is tested for plans of Amal, whose team has a member of each role.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.domain.permissions import Role
from portal.extensions import db
from portal.models import ApiKey, Email, ShopReport
from portal.services.accounts import api_keys, password_resets, tokens
from portal.services.mail import delivery
from portal.services.payments import payment_methods, refunds
from portal.services.plans import plans, shop_reports
from portal.services.plans.plans import NewPlan
from portal.services.reminders import unsubscribe
from portal.services.team import invitations
from tests.fixtures import people, proofs
from tests.team_statuses import TEAM, TEAM_CALLERS
from tests.web import browser_of
from tests.web.team import matrix_rows

CALLERS = ("anonymous", "customer", "other customer", "merchant", "other merchant", "operator", "key", "other key")

# The status for each of CALLERS. The API keys are read-only. Pages ignore API keys, so their callers are anonymous.
ANYONE = (200, 200, 200, 200, 200, 200, 200, 200)
SIGNED_IN = (401, 200, 200, 200, 200, 200, 200, 200)
PARTIES = (401, 200, 404, 200, 404, 404, 200, 404)
MERCHANTS = (401, 403, 403, 200, 200, 403, 200, 200)
CUSTOMERS = (401, 200, 200, 403, 403, 403, 403, 403)
PLANS_MERCHANT = (401, 403, 403, 200, 404, 403, 403, 403)
PROVEN = (401, 409, 409, 409, 409, 409, 403, 403)
PROOFS = (401, 422, 422, 422, 422, 422, 422, 422)
NO_REGISTRATION = (401, 404, 404, 404, 404, 404, 403, 403)
PLANS_MERCHANT_CREATED = (401, 403, 403, 201, 404, 403, 403, 403)

API = {
    "POST /auth/register/": (422,) * 8,
    "POST /api/auth/register/": (422,) * 8,
    "POST /token/": (422,) * 8,
    "POST /api/token/": (422,) * 8,
    "POST /token/refresh/": (422,) * 8,
    "POST /api/token/refresh/": (422,) * 8,
    "GET /auth/me/": SIGNED_IN,
    "GET /api/auth/me/": SIGNED_IN,
    "POST /auth/email/proofs/": PROVEN,
    "POST /api/auth/email/proofs/": PROVEN,
    "POST /auth/email/prove/": PROOFS,
    "POST /api/auth/email/prove/": PROOFS,
    "POST /auth/email/correct/": PROOFS,
    "POST /api/auth/email/correct/": PROOFS,
    "DELETE /auth/registration/": NO_REGISTRATION,
    "DELETE /api/auth/registration/": NO_REGISTRATION,
    "POST /api/plans/": (401, 403, 403, 422, 422, 403, 403, 403),
    "POST /api/plans/preview/": (401, 403, 403, 422, 422, 403, 422, 422),
    "GET /api/plans/": SIGNED_IN,
    "GET /api/plans/<row:plan_id>/": PARTIES,
    "GET /api/plans/<row:plan_id>/installments/": PARTIES,
    "GET /api/plans/<row:plan_id>/payments/": PARTIES,
    "GET /api/plans/installments/": SIGNED_IN,
    "GET /api/plans/installments/<row:installment_id>/": PARTIES,
    "POST /api/plans/installments/<row:installment_id>/pay/": (401, 200, 404, 403, 404, 404, 403, 403),
    "POST /api/plans/<row:plan_id>/accept/": (401, 200, 404, 403, 404, 404, 403, 403),
    "POST /api/plans/<row:plan_id>/dispute/": (401, 200, 404, 403, 404, 404, 403, 403),
    "GET /api/payments/": SIGNED_IN,
    "GET /api/payments/<row:payment_id>/": PARTIES,
    "POST /api/plans/<row:plan_id>/pay/": (401, 200, 404, 403, 404, 404, 403, 403),
    "POST /api/plans/<row:plan_id>/payments/": PLANS_MERCHANT_CREATED,
    "POST /api/plans/<row:plan_id>/refunds/": PLANS_MERCHANT_CREATED,
    "POST /api/plans/<row:plan_id>/credits/": PLANS_MERCHANT,
    "POST /api/plans/<row:plan_id>/cancel/": PLANS_MERCHANT,
    "POST /api/plans/<row:plan_id>/write-off/": PLANS_MERCHANT,
    "POST /api/payments/<row:payment_id>/reverse/": PLANS_MERCHANT,
    "GET /api/plans/<row:plan_id>/refunds/": PARTIES,
    "GET /api/plans/<row:plan_id>/invitations/": (401, 403, 403, 200, 404, 403, 403, 403),
    "POST /api/plans/<row:plan_id>/invitations/": (401, 403, 403, 409, 404, 403, 403, 403),
    "POST /api/plans/<row:plan_id>/invitations/revoke/": PLANS_MERCHANT,
    "POST /api/plans/<row:plan_id>/customer-email/": (401, 403, 403, 409, 404, 403, 403, 403),
    "GET /api/refunds/": SIGNED_IN,
    "GET /api/refunds/<row:refund_id>/": PARTIES,
    "GET /api/payment-methods/": CUSTOMERS,
    "POST /api/payment-methods/": (401, 201, 201, 403, 403, 403, 403, 403),
    "DELETE /api/payment-methods/<row:method_id>/": (401, 204, 404, 403, 403, 403, 403, 403),
    "GET /api/analytics/dashboard/": MERCHANTS,
    "GET /api/plans/analytics/dashboard/": MERCHANTS,
    "GET /api/analytics/merchant/": MERCHANTS,
    "GET /api/analytics/ageing/": MERCHANTS,
    "GET /api/docs/": ANYONE,
    "GET /swagger/": ANYONE,
    "GET /api/openapi.json": ANYONE,
}

# Bodies of requests to the API. They change plans that no other row uses.
REASON = {"reason": "Returned"}
BODIES: dict[str, dict[str, str]] = {
    "POST /api/plans/<row:plan_id>/pay/": {"choice": "amount", "amount": "3"},
    "POST /api/plans/<row:plan_id>/dispute/": {},
    "POST /api/plans/<row:plan_id>/payments/": {"amount": "2", "method": "cash", "received_on": "2020-01-01"},
    "POST /api/plans/<row:plan_id>/refunds/": {"amount": "1", **REASON},
    "POST /api/plans/<row:plan_id>/credits/": {"amount": "1", **REASON},
    "POST /api/plans/<row:plan_id>/cancel/": REASON,
    "POST /api/plans/<row:plan_id>/write-off/": REASON,
    "POST /api/payments/<row:payment_id>/reverse/": REASON,
    "POST /api/payment-methods/": {"card": "card_ok"},
    "POST /api/plans/<row:plan_id>/invitations/": {"kind": "pay"},
    "POST /api/plans/<row:plan_id>/invitations/revoke/": {"kind": "customer"},
    "POST /api/plans/<row:plan_id>/customer-email/": {"customer_email": "layla@example.com"},
}

# Pages redirect anonymous callers to the sign-in page (303). A form redirects (303) or is invalid (422).
PAGE = (303, 200, 200, 200, 200, 200, 303, 303)
MERCHANTS_PAGE = (303, 403, 403, 200, 200, 403, 303, 303)
OPERATORS_PAGE = (303, 403, 403, 403, 403, 200, 303, 303)
OPERATORS_PAGE_GONE = (303, 403, 403, 403, 403, 404, 303, 303)
MERCHANTS_FORM = (303, 403, 403, 422, 422, 403, 303, 303)
OWN_MERCHANTS_BUTTON = (303, 403, 403, 303, 404, 403, 303, 303)
REDIRECT_FOR_PARTIES = (303, 303, 404, 303, 404, 404, 303, 303)
OWED_BUTTON = (303, 303, 404, 403, 404, 404, 303, 303)
SIGNED_OUT = (200, 303, 303, 303, 303, 303, 200, 200)

PAGES = {
    "GET /": ANYONE,
    "GET /example": ANYONE,
    "GET /healthz": ANYONE,
    "GET /readyz": ANYONE,
    "GET /register": SIGNED_OUT,
    "POST /register": (422,) * 8,
    "GET /login": SIGNED_OUT,
    "POST /login": (422,) * 8,
    "POST /theme": (303,) * 8,
    "GET /account/password": PAGE,
    "POST /account/password": (303, 422, 422, 422, 422, 422, 303, 303),
    "GET /account/email": PAGE,
    "POST /account/email": (303, 422, 422, 422, 422, 422, 303, 303),
    "GET /account/email/proof": (303,) * 8,  # nothing is to be proven
    "POST /account/email/proof": (303, 422, 422, 422, 422, 422, 303, 303),
    "POST /account/email/proofs": (303, 409, 409, 409, 409, 409, 303, 303),
    "POST /account/registration": (303, 422, 422, 422, 422, 422, 303, 303),
    "POST /account/registration/leave": (303, 404, 404, 404, 404, 404, 303, 303),
    "GET /email-proofs/<proof_token>": ANYONE,
    "POST /email-proofs/<proof_token>": (422,) * 8,
    "GET /email-undos/<undo_token>": ANYONE,
    "POST /email-undos/<undo_token>": (422,) * 8,
    "GET /dashboard": MERCHANTS_PAGE,
    "GET /home": (303, 200, 200, 403, 403, 403, 303, 303),
    "GET /operator": OPERATORS_PAGE,
    "GET /operator/checks": OPERATORS_PAGE,
    "POST /operator/jobs/<job_id>/retry": (303, 403, 403, 403, 403, 303, 303, 303),
    "POST /operator/jobs/<job_id>/clear": (303, 403, 403, 403, 403, 303, 303, 303),
    "POST /operator/jobs/clear": (303, 403, 403, 403, 403, 303, 303, 303),
    "GET /operator/merchants": OPERATORS_PAGE,
    "GET /operator/accounts": OPERATORS_PAGE,
    "GET /operator/refunds": OPERATORS_PAGE,
    "GET /operator/merchants/<int:merchant_id>": OPERATORS_PAGE,
    "GET /operator/accounts/<int:user_id>": OPERATORS_PAGE,
    "POST /operator/merchants/<int:merchant_id>/approve": (303, 403, 403, 403, 403, 303, 303, 303),
    **{
        f"{method} /operator/{decision}": (303, 403, 403, 403, 403, status, 303, 303)
        for method, status in (("GET", 200), ("POST", 422))
        for decision in (
            "merchants/<int:merchant_id>/decline",
            "merchants/<int:merchant_id>/deactivate",
            "merchants/<int:merchant_id>/reactivate",
            "accounts/<int:user_id>/deactivate",
            "accounts/<int:user_id>/reactivate",
        )
    },
    "POST /operator/refunds/<int:refund_id>/release": OPERATORS_PAGE_GONE,  # of a refund that does not wait
    "GET /operator/refunds/<int:refund_id>/withhold": OPERATORS_PAGE_GONE,
    "POST /operator/refunds/<int:refund_id>/withhold": OPERATORS_PAGE_GONE,
    "GET /outbox": ANYONE,  # on this machine, without SMTP; tests/web/operations/test_emails.py has the other cases
    "GET /outbox/<int:outbox_id>": ANYONE,
    "GET /outbox/<int:outbox_id>/html": ANYONE,
    "POST /outbox/<int:outbox_id>/resend": (303, 403, 403, 403, 403, 303, 303, 303),
    "GET /password-resets/new": ANYONE,
    "POST /password-resets": (422,) * 8,
    "GET /password-resets/sent": ANYONE,
    "GET /password-resets/<reset_token>": ANYONE,
    "POST /password-resets/<reset_token>": (422,) * 8,
    "GET /settings": MERCHANTS_PAGE,
    "POST /settings": MERCHANTS_FORM,
    "GET /settings/closing": MERCHANTS_PAGE,
    "POST /settings/closing": MERCHANTS_FORM,
    "POST /settings/closing/stop": (303, 403, 403, 409, 409, 403, 303, 303),
    "GET /settings/objection": MERCHANTS_PAGE,
    "POST /settings/objection": MERCHANTS_FORM,
    "GET /plans/drafts": MERCHANTS_PAGE,
    "POST /plans/drafts/<int:draft_id>/discard": (303, 403, 403, 404, 404, 403, 303, 303),
    "GET /plans": PAGE,
    "POST /plans": MERCHANTS_FORM,
    "GET /plans.csv": MERCHANTS_PAGE,
    "GET /plans/<int:plan_id>/statement": (303, 200, 404, 200, 404, 404, 303, 303),
    "GET /customers": MERCHANTS_PAGE,
    "GET /customers.csv": MERCHANTS_PAGE,
    "GET /customers/<int:customer_id>": (303, 403, 403, 200, 404, 403, 303, 303),
    "GET /payments": PAGE,
    "GET /payments.csv": MERCHANTS_PAGE,
    "GET /installments.csv": MERCHANTS_PAGE,
    "GET /journal": MERCHANTS_PAGE,
    "GET /journal.csv": MERCHANTS_PAGE,
    "GET /plans/new": MERCHANTS_PAGE,
    "POST /plans/preview": MERCHANTS_PAGE,
    "GET /plans/preview": (303, 403, 403, 303, 303, 403, 303, 303),
    "GET /plans/<int:plan_id>": (303, 200, 404, 200, 404, 404, 303, 303),
    "POST /plans/<int:plan_id>/invitation": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/invitation/revoke": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/invitation/mail": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/invitation/mail/revoke": OWN_MERCHANTS_BUTTON,
    "GET /plans/<int:plan_id>/customer-email": OWN_MERCHANTS_BUTTON,  # a payment was made, so back to the plan
    "POST /plans/<int:plan_id>/customer-email": (303, 403, 403, 422, 404, 403, 303, 303),
    "GET /invitations/<token>/unknown-shop": ANYONE,
    "POST /invitations/<token>/unknown-shop": (303,) * 8,
    "POST /operator/shop-reports/<int:report_id>/clear": (303, 403, 403, 403, 403, 303, 303, 303),
    "GET /invitations/<token>": ANYONE,
    "POST /invitations/<token>": (422,) * 8,
    "GET /installments": PAGE,
    "GET /installments/<int:installment_id>": REDIRECT_FOR_PARTIES,
    "GET /installments/<int:installment_id>/payments": REDIRECT_FOR_PARTIES,
    "POST /installments/<int:installment_id>/payments": (303, 422, 404, 403, 404, 404, 303, 303),
    "GET /payments/<int:payment_id>": (303, 200, 404, 200, 404, 404, 303, 303),
    "POST /plans/<int:plan_id>/acceptance": OWED_BUTTON,
    "GET /plans/<int:plan_id>/dispute": OWED_BUTTON,  # accepted by now, so back to the plan
    "POST /plans/<int:plan_id>/dispute": OWED_BUTTON,
    "POST /plans/<int:plan_id>/dispute/uphold": OWED_BUTTON,
    "GET /plans/<int:plan_id>/withdrawal": OWED_BUTTON,
    "POST /plans/<int:plan_id>/withdrawal": OWED_BUTTON,
    "GET /plans/<int:plan_id>/dispute/answer": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/dispute/answer": (303, 403, 403, 422, 404, 403, 303, 303),
    "POST /plans/<int:plan_id>/delivery": OWN_MERCHANTS_BUTTON,
    "GET /account/shops": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /account/shops/<int:merchant_id>/block": (303, 303, 404, 403, 403, 403, 303, 303),
    "POST /account/shops/<int:merchant_id>/allow": (303, 303, 404, 403, 403, 403, 303, 303),
    "GET /operator/disputes": OPERATORS_PAGE,
    "POST /operator/disputes/<int:plan_id>": (303, 403, 403, 403, 403, 404, 303, 303),  # without a decision
    "GET /invitations/<token>/dispute": ANYONE,
    "POST /invitations/<token>/acceptance": (303,) * 8,
    "POST /invitations/<token>/dispute": (303,) * 8,
    "POST /invitations/<token>/dispute/uphold": (303,) * 8,
    "GET /plans/<int:plan_id>/pay": (303, 200, 404, 403, 404, 404, 303, 303),
    "POST /plans/<int:plan_id>/pay": (303, 422, 404, 403, 404, 404, 303, 303),
    **{
        f"{method} {act}": (303, 403, 403, status, 404, 403, 303, 303)
        for method, status in (("GET", 200), ("POST", 422))
        for act in (
            "/plans/<int:plan_id>/record-payment",
            "/plans/<int:plan_id>/credit",
            "/plans/<int:plan_id>/refund",
            "/plans/<int:plan_id>/write-off",
            "/plans/<int:plan_id>/cancel",
            "/payments/<int:payment_id>/reverse",
        )
    },
    "GET /invitations/<token>/pay": ANYONE,
    "POST /invitations/<token>/pay": (422,) * 8,
    "GET /invitations/<token>/payments/<int:payment_id>": (404,) * 8,  # of another plan
    "GET /payment-methods": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /payment-methods": (303, 422, 422, 403, 403, 403, 303, 303),
    "POST /payment-methods/<int:method_id>/remove": (303, 303, 404, 403, 403, 403, 303, 303),
    "POST /gateway/callbacks": (401,) * 8,
    "GET /settings/reminders": MERCHANTS_PAGE,
    "POST /settings/reminders": MERCHANTS_FORM,
    "GET /account/reminders": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /account/reminders": (303, 303, 303, 403, 403, 403, 303, 303),
    "GET /reminders/off/<off_token>": ANYONE,
    "POST /reminders/off/<off_token>": ANYONE,
    "POST /plans/<int:plan_id>/reminders": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/mute": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/unmute": OWN_MERCHANTS_BUTTON,
    "POST /customers/<int:customer_id>/mute": OWN_MERCHANTS_BUTTON,
    "POST /customers/<int:customer_id>/unmute": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/automatic-payment": (303, 303, 404, 403, 403, 403, 303, 303),
    "POST /plans/<int:plan_id>/automatic-payment/off": (303, 303, 404, 403, 403, 403, 303, 303),
    "GET /settings/api-keys": MERCHANTS_PAGE,
    "POST /settings/api-keys": MERCHANTS_FORM,
    "POST /settings/api-keys/<int:key_id>/revoke": OWN_MERCHANTS_BUTTON,
    "GET /account/data": PAGE,
    "GET /account/data/file": PAGE,
    "GET /account/erasure": PAGE,
    "POST /account/erasure": (303, 409, 409, 409, 409, 409, 303, 303),
    **matrix_rows.PAGES,
    "POST /account/hat": (303,) * 8,
    "POST /account/sessions/end": (303,) * 8,  # last but one, because it revokes the tokens
    "POST /logout": (303,) * 8,  # last, because it ends the sessions
}
EXPECTED = API | PAGES


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
            bearers[f"{merchant}'s key"] = api_keys.create(people.owner(ids[merchant]), name="Shop", can_write=False)
            objects[merchant] = objects_of(ids[merchant], ids[customer], customer)
        for made in objects.values():  # after the last mail, which makes a token, too
            made["team_token"] = invitations.make_link(made["team_invitation_id"])
    return World({name: browser_of(app, name) for name in ids}, bearers, objects)


@pytest.fixture
def team(app: Flask, database: str) -> World:
    """Amal's business with a member of each role, and members who owe. `objects` are by caller."""
    with app.app_context():
        amal, badr, omar = people.amal(), people.badr(), people.omar()
        api_keys.create(people.owner(amal), name="Shop", can_write=False)
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
    to_change, to_write_off, to_dispute = (people.a_plan(merchant_id, email) for _ in range(3))
    token = people.token_of(plans.open_plan(owner, new).plan_id)
    shop_reports.report(token or "")
    return {
        "plan_id": plan_id,
        "to_change": to_change,
        "to_write_off": to_write_off,
        "to_dispute": to_dispute,
        "merchant_id": merchant_id,
        "installments": installments,
        "payment_id": payment_id,
        "refund_id": refund_id,
        "method_id": payment_methods.save(customer_id, "card_ok").method_id,
        "saved_id": payment_methods.save(customer_id, "card_ok").method_id,
        "token": token,
        "report_id": db.session.scalars(db.select(ShopReport.id).order_by(ShopReport.id.desc())).first() or 0,
        "reset_token": password_resets.make(customer_id),
        "off_token": unsubscribe.token_of(customer_id),
        **proofs.links(customer),
        "outbox_id": _a_mail_to(customer_id),
        "customer_id": customer_id,
        **matrix_rows.objects_of(merchant_id),
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


def test_every_caller_gets_the_status_of_the_table(app: Flask, world: World) -> None:
    wrong = {}
    for route, expected in EXPECTED.items():
        for merchant, customer, other_merchant, other_customer in (
            ("amal", "omar", "badr", "sara"),
            ("badr", "sara", "amal", "omar"),
        ):
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
            statuses = [0] * len(names)
            for index in sorted(range(len(names)), key=is_party):  # strangers first, before a party changes the objects
                statuses[index] = request_status(app, world, route, names[index], world.objects[merchant])
            if tuple(statuses) != expected:
                wrong[f"{route} of {merchant}"] = dict(zip(CALLERS, statuses, strict=True))
    assert wrong == {}


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
    plan = objects[changed if route in BODIES else "plan_id"]
    address = (
        matrix_rows.in_address(rule, route, objects)
        .replace("<row:", "<int:")
        .replace("<int:plan_id>", str(plan))
        .replace("<int:installment_id>", str(installment))
        .replace("<int:payment_id>", str(objects["payment_id"]))
        .replace("<int:refund_id>", str(objects["refund_id"]))
        .replace("<int:method_id>", str(objects["method_id" if api else "saved_id"]))
        .replace("<int:merchant_id>", str(objects["merchant_id"]))
        .replace("<int:customer_id>", str(objects["customer_id"]))
        .replace("<int:key_id>", str(objects["key_id"]))
        .replace("<int:user_id>", str(objects["customer_id"]))
        .replace("<int:draft_id>", "1")
        .replace("<token>", objects["token"])
        .replace("<reset_token>", objects["reset_token"])
        .replace("<off_token>", objects["off_token"])
        .replace("<proof_token>", objects["proof_token"])
        .replace("<undo_token>", objects["undo_token"])
        .replace("<int:outbox_id>", str(objects["outbox_id"]))
        .replace("<job_id>", "no-such-job")
        .replace("<int:report_id>", str(objects["report_id"]))
    )
    assert "<" not in address, address
    headers = {"Authorization": f"Bearer {world.bearers[caller]}"} if caller and (api or "key" in caller) else {}
    client = world.browsers[caller] if caller in world.browsers and not api else app.test_client()
    return client.open(address, method=method, headers=headers, json=BODIES.get(route)).status_code
