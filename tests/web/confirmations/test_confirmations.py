"""Actions on a plan's money: a confirmation first, carried out once, refused when the amounts have changed."""

import re
from dataclasses import dataclass, field, replace

import pytest
from flask import Flask

from portal.domain import clock
from portal.services.adjustments import voids
from portal.services.payments import manual_payments, refunds
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of
from tests.web.acts import a_cash_payment, a_world, check, confirm, hidden, money_of, words


@dataclass(frozen=True)
class Case:
    """The address and the form of an action, and the title of its confirmation."""

    address: str
    title: str
    typed: dict[str, str] = field(default_factory=dict)
    remaining: str = "SAR 66.66"


WHY = {"reason": "They moved away"}
CASES = {
    "refund": Case("/plans/{plan}/refund", "Refund SAR 10.00?", {"amount": "10", "payment": "newest", **WHY}),
    "credit": Case("/plans/{plan}/credit", "Credit SAR 40.00?", {"amount": "40", "how": "last", **WHY}),
    "cancel": Case("/plans/{plan}/cancel", "Cancel this plan?", {"give_back": "all", **WHY}),
    "write off": Case("/plans/{plan}/write-off", "Write off SAR 66.66?", WHY),
    "cash": Case("/plans/{plan}/record-payment", "Record SAR 50.00 as received?", {"amount": "50", "method": "cash"}),
    "void": Case("/payments/{cash}/void", "Void SAR 10.00?", WHY, remaining="SAR 56.66"),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, app: Flask, database: str) -> tuple[Case, int, int]:
    """An action, with the ids of its plan and its payment."""
    plan, payment = a_world(app)
    selected = CASES[request.param]
    typed = dict(selected.typed)
    if "cash" in typed.values():
        with app.app_context():
            typed["received_on"] = people.plan_of(plan).today.isoformat()
    if "{cash}" in selected.address:
        payment = a_cash_payment(app, plan)
    return replace(selected, address=selected.address.format(plan=plan, cash=payment), typed=typed), plan, payment


def test_amounts_before_and_after_are_shown_and_the_action_happens_once(
    app: Flask, case: tuple[Case, int, int]
) -> None:
    act, plan, _ = case
    amal, before = browser_of(app, "amal"), money_of(app, plan)
    form = amal.get(act.address)
    names = re.findall(r'<(?:input|select|textarea)[^>]* id="([^"]+)"', form.text)
    assert form.status_code == 200 and len(names) == len(set(names)), "each field has its own id"
    shown = check(amal, act.address, **act.typed)
    assert shown.status_code == 200
    for expected in (act.title, "before", "After", f"Remaining {act.remaining}", *WHY.values()):
        assert expected in words(shown) or (expected in WHY.values() and "reason" not in act.typed), expected
    assert money_of(app, plan) == before, "nothing has changed yet"

    again = amal.post(act.address, data={**hidden(shown), "step": "edit"})
    assert again.status_code == 200 and all(value in again.text for value in act.typed.values()), (
        "the values are shown again"
    )

    done = confirm(amal, shown)
    assert (done.status_code, done.location) == (303, f"/plans/{plan}")
    after = money_of(app, plan)
    assert after != before
    assert confirm(amal, shown).status_code == 303, "a repeated confirmation is replayed"
    assert money_of(app, plan) == after
    page = amal.get(done.location)
    assert "You" in words(page) and (WHY["reason"] in page.text or "reason" not in act.typed)


def test_changed_amounts_are_shown_again_and_nothing_is_done(app: Flask, case: tuple[Case, int, int]) -> None:
    act, plan, payment = case
    amal = browser_of(app, "amal")
    shown = check(amal, act.address, **act.typed)
    with app.app_context():
        merchant = people.plan_of(plan).merchant_id
        if "void" in act.address:
            refunds.refund(plan, actor=people.owner(merchant), amount=100, reason="A stain", payment_id=payment)
        else:
            day = people.plan_of(plan).today
            manual_payments.record(plan, actor=people.owner(merchant), amount=100, method="cash", received_on=day)
    before = money_of(app, plan)
    stale = confirm(amal, shown)
    assert stale.status_code == 409
    assert "Something changed in the meantime, and nothing was done." in words(stale)
    assert money_of(app, plan) == before
    assert hidden(stale)["key"] != hidden(shown)["key"] and hidden(stale)["shown"] != hidden(shown)["shown"]
    assert confirm(amal, stale).status_code == 303
    assert money_of(app, plan) != before


def test_for_htmx_the_confirmation_is_a_dialog_over_the_form(app: Flask, case: tuple[Case, int, int]) -> None:
    act, plan, _ = case
    amal = browser_of(app, "amal")
    shown = check(amal, act.address, htmx=True, **act.typed)
    assert shown.status_code == 200 and "<html" not in shown.text and "HX-Request" in shown.headers["Vary"]
    assert '<dialog class="dialog" id="act-dialog"' in shown.text and "data-open" in shown.text
    assert all(f'value="{value}"' in shown.text for value in act.typed.values()), "the form is behind the dialog"
    done = confirm(amal, shown, htmx=True)
    assert done.headers["HX-Redirect"] == f"/plans/{plan}"
    wrong = check(amal, act.address, htmx=True, reason="", amount="")
    assert wrong.status_code in (409, 422) and "<dialog" not in wrong.text


def test_a_malformed_confirmation_changes_nothing(app: Flask, case: tuple[Case, int, int]) -> None:
    act, plan, _ = case
    amal, before = browser_of(app, "amal"), money_of(app, plan)
    shown = check(amal, act.address, **act.typed)
    for changes in ({"key": ""}, {"key": "x" * 300}, {"shown": ""}, {"shown": "-1"}, {"shown": "1e3"}, {"shown": "٣"}):
        response = confirm(amal, shown, **changes)
        assert response.status_code == 422 and "nothing was done" in words(response).lower(), changes
    used = hidden(shown)["key"]
    texts = ["", "   ", "x" * 201, "two\nlines", "nul\x00"] if "reason" in act.typed else []
    for text in texts:
        for step in ("check", "confirm"):
            response = amal.post(act.address, data={**hidden(shown), "reason": text, "step": step})
            assert response.status_code == 422, (text, step)
            assert "data-error-summary" in response.text and 'id="reason-error"' in response.text
    assert money_of(app, plan) == before
    assert amal.post(act.address, data={}).status_code == (200 if not act.typed else 422)
    assert confirm(amal, shown, key=used).status_code == 303, "the key is unused"


def test_only_the_plans_merchant_can_act(app: Flask, case: tuple[Case, int, int]) -> None:
    act, plan, _ = case
    before, shown = money_of(app, plan), check(browser_of(app, "amal"), act.address, **act.typed)
    for name, status in (("omar", 403), ("badr", 404), ("sara", 403)):
        stranger = browser_of(app, name)
        assert stranger.get(act.address).status_code == status
        assert confirm(stranger, shown).status_code == status
    assert confirm(app.test_client(), shown).location.startswith("/login")
    assert money_of(app, plan) == before


def test_an_action_is_refused_while_a_payment_is_in_flight(app: Flask, case: tuple[Case, int, int]) -> None:
    act, plan, _ = case
    amal = browser_of(app, "amal")
    shown = check(amal, act.address, **act.typed)
    with app.app_context():
        row = people.installments_of(plan)[1]
        people.pay(row.id, row.customer_id, "card_lost_charged")
    before = money_of(app, plan)
    assert "is being checked with the bank" in words(amal.get(act.address))
    assert check(amal, act.address, **act.typed).status_code == 409
    assert confirm(amal, shown).status_code == 409
    assert money_of(app, plan) == before


def test_the_number_of_queries_does_not_depend_on_the_plans_length(app: Flask, case: tuple[Case, int, int]) -> None:
    act, plan, _ = case
    amal = browser_of(app, "amal")
    with queries(app) as few:
        assert check(amal, act.address, **act.typed).status_code == 200
    with app.app_context():
        long = people.a_plan(people.plan_of(plan).merchant_id, total=600_00, count=30)
        rows = people.installments_of(long)
        for row in rows[:6]:
            people.pay(row.id, row.customer_id)
    address = act.address.replace(f"/plans/{plan}/", f"/plans/{long}/")
    if "void" in address:
        address = f"/payments/{a_cash_payment(app, long)}/void"
    with queries(app) as many:
        assert check(amal, address, **act.typed).status_code == 200
    assert len(many) == len(few) <= 14


def test_an_impossible_action_shows_the_reason_instead_of_the_form(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    with app.app_context():
        merchant = people.plan_of(plan).merchant_id
        refunds.refund(plan, actor=people.owner(merchant), amount=33_34, reason="Stale cake")
        done = people.a_plan(merchant, total=10_00, count=1, first=-3)
        day = clock.today("Asia/Riyadh")
        manual_payments.record(done, actor=people.owner(merchant), amount=10_00, method="transfer", received_on=day)
        other = people.a_plan(merchant)
    voided = a_cash_payment(app, other)
    with app.app_context():
        voids.void(voided, actor=people.owner(merchant), reason="Written down twice")
    amal = browser_of(app, "amal")
    for address, why in (
        (f"/plans/{plan}/refund", "Nothing that was paid on this plan can be given back."),
        (f"/payments/{payment}/void", "Only cash and transfers can be voided."),
        (f"/payments/{voided}/void", "Nothing of this payment is left that could be voided."),
        (f"/plans/{done}/credit", "so there is nothing to credit."),
        (f"/plans/{done}/write-off", "so there is nothing to write off."),
        (f"/plans/{done}/cancel", "so there is nothing to cancel."),
        (f"/plans/{done}/record-payment", "so there is nothing to record."),
    ):
        page = amal.get(address)
        assert page.status_code == 200 and why in words(page) and 'name="step"' not in page.text, address
        assert check(amal, address, **WHY, amount="1").status_code in (409, 422)
