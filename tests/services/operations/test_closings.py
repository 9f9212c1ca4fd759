"""Closing a business: no new plans, a wind-down, and an end by itself."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.domain import clock, permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Forbidden, Refused
from portal.extensions import db
from portal.models import Plan, PlanDraft
from portal.reports.operations import wind_downs
from portal.services.accounts import accounts, api_keys
from portal.services.accounts.merchant_settings import Settings
from portal.services.accounts.tokens import BadToken
from portal.services.adjustments import cancellations
from portal.services.agreements import withdrawals
from portal.services.operations import closings, merchant_deactivations
from portal.services.payments import outcomes, refunds
from portal.services.plans import drafts, plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import operations, people

pytestmark = pytest.mark.usefixtures("context")


def standing(merchant_id: int) -> str:
    return operations.merchant_of(merchant_id).standing


def test_a_closing_business_makes_no_plans_and_goes_on_with_the_open_ones() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    closings.start(people.owner(amal), shown_plans=1)
    with pytest.raises(Forbidden) as refused:
        plans.open_plan(people.owner(amal), NewPlan("omar@example.com", 1_00, 1, people.today_of(amal)))
    assert refused.value.code == "merchant_closing"
    payment = people.pay(people.installments_of(plan_id)[0].id, omar)
    refunds.refund(plan_id, actor=operations.owner(amal), amount=1_00, reason="Sorry")
    assert people.payment_of(payment.id).refunded == 1_00
    closings.end_closed()
    assert standing(amal) == "closing"
    closings.stop(operations.owner(amal))
    assert standing(amal) == "live" and people.a_plan(amal)


def test_it_does_not_end_while_money_of_a_withdrawn_plan_is_owed_back() -> None:
    amal, omar = people.amal(), people.omar()
    accounts.update_merchant(
        people.owner(amal), Settings(business_name="Amal's", time_zone="UTC", grace_days=0, home_currency="SAR",
        withdrawal_days=14),
    )  # fmt: skip
    plan_id = people.a_plan(amal)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar)
    withdrawals.withdraw(plan_id, customer_id=omar)
    closings.start(people.owner(amal), shown_plans=0)
    with time_machine.travel(clock.now() + timedelta(days=181), tick=True):
        closings.end_closed()
        assert standing(amal) == "closing" and wind_downs.of_merchant(amal).owed_back == 1
        refunds.refund(plan_id, actor=operations.owner(amal), amount=payment.amount, reason="Withdrawn")
        closings.end_closed()
        assert standing(amal) == "closed"


def test_it_ends_once_nothing_is_open_and_180_days_have_passed_since_the_last_payment_by_card() -> None:
    amal, omar = people.amal(), people.omar()
    key = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
    plan_id = people.a_plan(amal, count=2)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    closings.start(people.owner(amal), shown_plans=1)
    cancellations.cancel(plan_id, actor=operations.owner(amal), reason="Closing")
    now = clock.now()
    for days, expected in ((0, "closing"), (179, "closing"), (181, "closed")):
        with time_machine.travel(now + timedelta(days=days), tick=True):
            closings.end_closed()
            assert standing(amal) == expected
    with pytest.raises(BadToken):
        api_keys.find(key)
    assert operations.mails_to(amal) == ["api_key_made", "merchant_closed"]
    viewer = permissions.member(amal, amal, "viewer", "closed")
    viewer.require("view")
    for act in (
        lambda: closings.stop(operations.owner(amal)),
        lambda: closings.start(operations.owner(amal), shown_plans=0),
    ):
        with pytest.raises(Forbidden) as refused:
            act()
        assert refused.value.code == "merchant_closed"


def test_a_business_without_payments_ends_at_once() -> None:
    amal = people.amal()
    closings.start(people.owner(amal), shown_plans=0)
    assert closings.end_closed() == 1
    assert standing(amal) == "closed"
    assert closings.end_closed() == 0


def test_its_drafts_are_deleted_at_its_end(app: Flask) -> None:
    dana = operations.a_draft_merchant(app)
    drafts.save(operations.owner(dana), NewPlan("nadia@example.com", 60_00, 3, people.today_of(dana)))
    closings.start(operations.owner(dana), shown_plans=0)
    assert db.session.scalar(select(func.count()).select_from(PlanDraft)) == 1
    closings.end_closed()
    assert standing(dana) == "closed"
    assert db.session.scalar(select(func.count()).select_from(PlanDraft)) == 0, "it holds emails that nobody needs"


def test_a_payment_or_refund_in_flight_keeps_it_open() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=1)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_refund_lost_done")
    refunds.refund(plan_id, actor=people.owner(amal), amount=1_00, reason="Sorry")
    second = people.a_plan(amal, count=1)
    in_flight = people.pay(people.installments_of(second)[0].id, omar, "card_lost_charged")
    wind_down = wind_downs.of_merchant(amal)
    assert (wind_down.open_plans, wind_down.payments, wind_down.refunds) == (1, 1, 1)
    assert wind_down.held_until == payment.created_at + timedelta(days=180)
    closings.start(people.owner(amal), shown_plans=1)
    with time_machine.travel(clock.now() + timedelta(days=400), tick=True):
        closings.end_closed()
        assert standing(amal) == "closing"
        outcomes.settle_payment(in_flight.id)
        refunds.settle_unknown_refunds()
        closings.end_closed()
        assert standing(amal) == "closed"


def test_changed_figures_and_other_people_are_refused() -> None:
    amal = people.amal()
    people.omar()
    people.a_plan(amal)
    with pytest.raises(Refused, match="figures_changed") as refused:
        closings.start(people.owner(amal), shown_plans=0)
    assert refused.value.facts == {"open_plans": 1}
    for role in ("manager", "collector", "viewer"):
        with pytest.raises(Forbidden):
            closings.start(permissions.member(amal, amal, role), shown_plans=1)
    with pytest.raises(Refused, match="not_closing"):
        closings.stop(people.owner(amal))
    closings.start(people.owner(amal), shown_plans=1)
    with pytest.raises(Refused, match="already_closing"):
        closings.start(people.owner(amal), shown_plans=1)


def test_a_deactivated_business_is_not_closed_by_its_owner_and_does_not_end(app: Flask) -> None:
    amal = people.amal()
    merchant_deactivations.deactivate(amal, actor=None, reason="Fraud")
    with pytest.raises(Refused, match="merchant_deactivated"):
        closings.start(operations.owner(amal), shown_plans=0)
    merchant_deactivations.reactivate(amal, actor=None, reason="A mistake")
    closings.start(people.owner(amal), shown_plans=0)
    merchant_deactivations.deactivate(amal, actor=None, reason="Fraud")
    closings.end_closed()
    assert standing(amal) == "deactivated"
    assert db.session.scalars(db.select(Plan)).all() == []
