"""The permissions of every route for a deactivated account, a deactivated business and a business without approval.

The statuses follow from the tables of test_matrix.py, so a new route needs no row here, unless it acts for a business.
"""

from typing import Final

import pytest
from flask import Flask

from portal.domain.permissions import GIVEN_TO_KEYS
from portal.services.accounts import api_keys, tokens
from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from portal.services.operations import account_deactivations, merchant_deactivations
from portal.services.team import invitations
from tests.fixtures import operations, people
from tests.fixtures.business import an_image
from tests.matrix import agreement_statuses
from tests.matrix.team_statuses import ACTS
from tests.matrix.test_matrix import CALLERS, EXPECTED, World, objects_of, request_status
from tests.web import browser_of
from tests.web.imports import matrix_rows as import_rows

PLAN: Final = "/plans/<int:plan_id>"
ACTS_OF_A_BUSINESS: Final = {
    *agreement_statuses.OF_A_LIVE_BUSINESS,
    "POST /api/plans/",
    "POST /api/plans/<row:plan_id>/payments/",
    "POST /api/plans/<row:plan_id>/credits/",
    "POST /api/plans/<row:plan_id>/reschedule/",
    "POST /api/plans/<row:plan_id>/reschedule/withdraw/",
    f"POST {PLAN}/proposal/withdraw",
    "PATCH /api/merchant/",
    "PATCH /api/merchant/reminders/",
    "GET /api/merchant/notices/",
    "PATCH /api/merchant/notices/",
    "GET /api/team/",
    *(f"PATCH /api/{one}/" for one in ("plans/<row:plan_id>", "payments/<row:payment_id>", "refunds/<row:refund_id>")),
    "POST /api/plans/<row:plan_id>/reminders/",
    *(
        f"{method} /api/{one}/mute/"
        for method in ("PUT", "DELETE")
        for one in ("plans/<row:plan_id>", "customers/<row:customer_id>")
    ),
    *(f"{method} /api/webhook-endpoints/" for method in ("GET", "POST")),
    *(f"{method} /api/webhook-endpoints/<endpoint_name>/" for method in ("GET", "PATCH", "DELETE")),
    "POST /api/webhook-endpoints/<endpoint_name>/rotate/",
    "GET /api/webhook-endpoints/<endpoint_name>/deliveries/",
    "POST /api/webhook-endpoints/<endpoint_name>/deliveries/<event_name>/send/",
    "POST /api/plans/<row:plan_id>/cancel/",
    "POST /api/plans/<row:plan_id>/write-off/",
    *(f"POST /api/payments/<row:payment_id>/{act}/" for act in ("reverse", "void")),
    *(f"{method} /payments/<int:payment_id>/reverse" for method in ("GET", "POST")),
    *(f"{method} /api/plans/<row:plan_id>/invitations/" for method in ("GET", "POST")),
    *(f"POST /api/plans/<row:plan_id>/{act}/" for act in ("invitations/revoke", "customer-email")),
    *(f"{method} {PLAN}/customer-email" for method in ("GET", "POST")),
    "POST /plans",
    "GET /plans/new",
    "GET /plans/preview",
    "GET /plans/customers",
    "POST /plans/preview",
    "POST /plans/drafts/<int:draft_id>/discard",
    *import_rows.PAGES,
    *import_rows.CONTACT_BUTTONS,
    *(
        f"{method} {act}"
        for method in ("GET", "POST")
        for act in (*ACTS, f"{PLAN}/record-payment")
        if "refund" not in act
    ),
    *(f"POST {PLAN}/{act}" for act in ("invitation", "invitation/revoke", "reminders", "mute", "unmute")),
    *(f"POST /customers/<int:customer_id>/{act}" for act in ("mute", "unmute", "reminders")),
    "POST /customers/reminders",
    "GET /customers/<int:customer_id>/edit",
    "POST /customers/<int:customer_id>",
    "PATCH /api/customers/<row:customer_id>/",
    *(f"{method} /settings{page}" for method in ("GET", "POST") for page in ("", "/letterhead")),
    *(
        f"{method} /settings/{page}"
        for method in ("GET", "POST")
        for page in ("notices", "reminders", "api-keys", "terms")
    ),
    "POST /dashboard/first-steps",
    *(f"{method} /settings/terms/<int:terms_id>" for method in ("GET", "POST")),
    *(f"POST /settings/terms/<int:terms_id>/{act}" for act in ("move", "remove")),
    *(f"{method} /settings/webhooks{one}" for method in ("GET", "POST") for one in ("", "/<endpoint_name>")),
    *(f"POST /settings/webhooks/<endpoint_name>/{act}" for act in ("rotate", "state", "delete")),
    "POST /settings/webhooks/<endpoint_name>/deliveries/<event_name>/send",
    "POST /settings/api-keys/<int:key_id>/revoke",
    *(f"{method} {PLAN}/dispute/answer" for method in ("GET", "POST")),
    *(f"POST {PLAN}/{act}" for act in ("delivery", "invitation/mail", "invitation/mail/revoke")),
    *(
        f"{method} /settings/team/<int:member_id>{act}"
        for method in ("GET", "POST")
        for act in ("", "/hand-over", "/remove")
    ),
    "GET /settings/security-events",
    "GET /settings/team",
    "POST /settings/team/invitations",
    *(f"POST /settings/team/invitations/<int:invitation_id>/{act}" for act in ("revoke", "send-again")),
}
"""Routes that a deactivated business forbids to its owner."""
OTHERWISE: Final = {"POST /api/plans/<row:plan_id>/refunds/": 409, "POST /api/merchant/objections/": 200}
"""The other routes whose status differs: nothing was paid on that plan, because cash can't be recorded, and the owner
of a deactivated business may object.
"""
PAYING: Final = {
    "POST /api/plans/installments/<row:installment_id>/pay/": 409,
    "POST /api/plans/<row:plan_id>/pay/": 409,
    "POST /api/plans/<row:plan_id>/dispute/uphold/": 409,  # the business could not answer
    "POST /api/plans/<row:plan_id>/reschedule/accept/": 409,
    "PUT /api/plans/<row:plan_id>/automatic-payment/": 422,  # the plan is open, and the method unknown
}
"""The routes whose status differs for the customer of a deactivated business."""


@pytest.mark.long
def test_a_deactivated_account_is_anonymous_everywhere(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        api_keys.create(people.owner(amal), name="Shop")
        objects = objects_of(amal, omar, "omar")
        objects["team_token"] = invitations.make_link(objects["team_invitation_id"])
        bearers = {"amal": tokens.start(amal).access}
        bearers["amal's key"] = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
    browser = browser_of(app, "amal")
    with app.app_context():
        account_deactivations.deactivate(amal, actor=operations.olga(), reason="Stolen")
    world = World({"amal": browser}, bearers, {})
    wrong = {}
    for route, expected in EXPECTED.items():
        for caller in ("amal", "amal's key"):
            status = request_status(app, world, route, caller, objects)
            if status != expected[0]:
                wrong[f"{route} by {caller}"] = status, expected[0]
    assert wrong == {}


@pytest.fixture
def stopped(app: Flask, database: str) -> World:
    """Amal's deactivated business, its customer Omar, and Badr, who reads only his own."""
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        key = api_keys.create(people.owner(amal), name="Shop")
        objects = objects_of(amal, omar, "omar")
        objects["team_token"] = invitations.make_link(objects["team_invitation_id"])
        bearers = {"amal": tokens.start(amal).access, "omar": tokens.start(omar).access, "amal's key": key}
    browsers = {name: browser_of(app, name) for name in ("amal", "omar")}
    with app.app_context():
        merchant_deactivations.deactivate(amal, actor=operations.olga(), reason="Fraud")
    return World(browsers, bearers, {"amal": objects})


@pytest.mark.long
def test_the_owner_of_a_deactivated_business_reads_and_asks_for_refunds(app: Flask, stopped: World) -> None:
    wrong = {}
    for route, statuses in EXPECTED.items():
        expected = 403 if route in ACTS_OF_A_BUSINESS else OTHERWISE.get(route, statuses[CALLERS.index("merchant")])
        status = request_status(app, stopped, route, "amal", stopped.objects["amal"])
        if status != expected:
            wrong[route] = status, expected
    assert wrong == {}


@pytest.mark.long
@pytest.mark.parametrize(("caller", "column"), [("omar", "customer"), ("amal's key", "key")])
def test_customers_and_keys_of_a_deactivated_business_read(
    app: Flask, stopped: World, caller: str, column: str
) -> None:
    wrong = {}
    for route, statuses in EXPECTED.items():
        expected = (
            PAYING.get(route, statuses[CALLERS.index(column)]) if caller == "omar" else statuses[CALLERS.index(column)]
        )
        status = request_status(app, stopped, route, caller, stopped.objects["amal"])
        if status != expected:
            wrong[route] = status, expected
    assert wrong == {}


@pytest.mark.long
def test_a_business_without_approval_has_every_page_of_a_business(app: Flask, database: str) -> None:
    with app.app_context():
        dana = operations.a_draft_merchant(app)
        letterheads.change(people.owner(dana), Words(), file=an_image())
        amal, omar = people.amal(), people.omar()
        api_keys.create(people.owner(amal), name="Shop")
        world = World({}, {"dana": tokens.start(dana).access}, {"amal": objects_of(amal, omar, "omar")})
        objects = world.objects["amal"]
        objects["team_token"] = invitations.make_link(objects["team_invitation_id"])
    world.browsers["dana"] = browser_of(app, "dana")
    wrong = {}
    for route, statuses in EXPECTED.items():
        status = request_status(app, world, route, "dana", world.objects["amal"])
        if status != statuses[CALLERS.index("other merchant")]:
            wrong[route] = status, statuses[CALLERS.index("other merchant")]
    assert wrong == {}
