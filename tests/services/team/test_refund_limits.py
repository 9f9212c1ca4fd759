"""Limits of refunds a day: of a member and of an API key, under races, and for a cancellation."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.gateways.payment.simulated import tables
from portal.models import ApiKey, Membership, Payment, Refund
from portal.services.accounts import accounts, api_keys
from portal.services.accounts.merchant_settings import Settings
from portal.services.adjustments import cancellations
from portal.services.payments import refund_limits, refunds
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def sara(amal):
    """A manager of Amal's who may refund SAR 30.00 a day."""
    user_id = people.a_member("sara", amal, "manager")
    people.set_limit(user_id, amal, 30_00)
    return user_id


def paid_plan(amal, omar, card="card_ok"):
    plan_id = people.a_plan(amal, total=100_00, count=2)
    for row in people.installments_of(plan_id)[:1]:
        people.pay(row.id, omar, card)
    return plan_id


def refund(plan_id, actor, amount):
    result = refunds.refund(plan_id, actor=actor, amount=amount, reason="Broken")
    db.session.rollback()
    return result


def allowance_after(plan_id, actor, amount):
    """The allowance that a refused refund states."""
    with pytest.raises(Refused) as refused:
        refund(plan_id, actor, amount)
    db.session.rollback()
    assert refused.value.code == "refund_limit"
    return refused.value.facts["allowance"]


def manager(user_id, merchant_id):
    return permissions.member(user_id, merchant_id, "manager")


def test_a_member_refunds_up_to_the_days_limit_on_all_plans_together(amal, omar, sara):
    first, second = paid_plan(amal, omar), paid_plan(amal, omar)
    refund(first, manager(sara, amal), 20_00)
    assert allowance_after(second, manager(sara, amal), 10_01) == 10_00
    refund(second, manager(sara, amal), 10_00)
    assert allowance_after(second, manager(sara, amal), 1) == 0
    refund(second, people.owner(amal), 20_00)
    assert refund_limits.allowance(people.owner(amal)) is None


def test_refunds_in_flight_count_and_declined_ones_do_not(amal, omar, sara):
    declined, in_flight = paid_plan(amal, omar, "card_refund_declined"), paid_plan(amal, omar, "card_refund_lost_done")
    refund(declined, manager(sara, amal), 30_00)
    assert refund_limits.allowance(manager(sara, amal)) == 30_00
    refund(in_flight, manager(sara, amal), 25_00)
    assert allowance_after(declined, manager(sara, amal), 5_01) == 5_00


def test_the_day_begins_at_the_businesss_midnight(amal, omar, sara):
    with time_machine.travel(datetime(2026, 3, 4, 20, 59, tzinfo=UTC), tick=False) as traveller:
        plan_id = paid_plan(amal, omar)
        refund(plan_id, manager(sara, amal), 30_00)
        traveller.shift(timedelta(seconds=59))
        assert allowance_after(plan_id, manager(sara, amal), 1) == 0
        traveller.shift(timedelta(seconds=1))
        refund(plan_id, manager(sara, amal), 20_00)


def test_a_manager_begins_no_other_day_by_another_time_zone(amal, omar, sara):
    """In Kiritimati it is tomorrow already, so the day's refunds would not count."""
    settings = {"business_name": "Amal's", "grace_days": 0, "home_currency": "SAR"}
    with time_machine.travel(datetime(2026, 3, 4, 11, 0, tzinfo=UTC), tick=False):
        plan_id = paid_plan(amal, omar)
        refund(plan_id, manager(sara, amal), 30_00)
        with pytest.raises(Invalid) as refused:
            accounts.update_merchant(manager(sara, amal), Settings(time_zone="Pacific/Kiritimati", **settings))
        assert [(fault.field, fault.code) for fault in refused.value.faults] == [("time_zone", "owners_zone")]
        assert allowance_after(plan_id, manager(sara, amal), 1) == 0
    accounts.update_merchant(manager(sara, amal), Settings(time_zone="Asia/Riyadh", **settings))
    accounts.update_merchant(people.owner(amal), Settings(time_zone="UTC", **settings))


def test_refunds_at_once_stay_within_the_limit(app, amal, omar, sara):
    plan_ids = [paid_plan(amal, omar) for _ in range(4)]
    calls = [lambda plan_id=plan_id: refund(plan_id, manager(sara, amal), 20_00) for plan_id in plan_ids]
    results = at_once(app, calls)
    assert sorted(getattr(result, "code", "refunded") for result in results) == ["refund_limit"] * 3 + ["refunded"]
    db.session.rollback()
    assert db.session.scalar(select(func.sum(Refund.amount))) == 20_00


def test_a_cancellation_refunds_within_the_limit_or_changes_nothing(amal, omar, sara):
    plan_id = paid_plan(amal, omar)
    with pytest.raises(Refused) as refused:
        cancellations.cancel(plan_id, actor=manager(sara, amal), reason="Sold out", refund=30_01)
    assert refused.value.code == "refund_limit"
    assert people.plan_of(plan_id).cancelled_at is None
    cancellations.cancel(plan_id, actor=manager(sara, amal), reason="Sold out", refund=30_00)
    assert people.plan_of(plan_id).cancelled_at is not None


class TestKey:
    def actor(self, amal, limit):
        token = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS, refund_limit=limit)
        actor = api_keys.actor_of(api_keys.find(token))
        db.session.rollback()
        return actor

    def test_a_key_refunds_nothing_by_default(self, amal, omar):
        plan_id = paid_plan(amal, omar)
        token = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
        actor = api_keys.actor_of(api_keys.find(token))
        assert allowance_after(plan_id, actor, 1) == 0

    def test_each_key_has_a_limit_of_its_own_beside_its_makers(self, amal, omar):
        people.set_limit(amal, amal, 15_00)
        plan_id = paid_plan(amal, omar)
        till, shop = self.actor(amal, 10_00), self.actor(amal, 5_00)
        refund(plan_id, till, 10_00)
        assert allowance_after(plan_id, till, 1) == 0
        refund(plan_id, shop, 5_00)
        refund(plan_id, people.owner(amal), 15_00)
        assert allowance_after(plan_id, people.owner(amal), 1) == 0
        rows = select(Refund.created_by, Refund.api_key_id).order_by(Refund.id)
        assert db.session.execute(rows).all() == [(amal, till.key_id), (amal, shop.key_id), (amal, None)]

    def test_a_key_that_only_reads_has_no_limit(self, amal):
        with pytest.raises(Exception, match="reads_only"):
            api_keys.create(people.owner(amal), name="Till", refund_limit=1)
        assert db.session.scalar(select(func.count(ApiKey.id))) == 0


@pytest.mark.parametrize(("currency", "limit"), [("KWD", 30_000), ("JPY", 30), ("USD", 30_00)])
def test_a_limit_keeps_its_figure_when_the_home_currency_changes(amal, sara, currency, limit):
    people.a_member("nour", amal, "manager")
    accounts.update_merchant(
        people.owner(amal), Settings(business_name="Amal's", time_zone="UTC", grace_days=0, home_currency=currency)
    )
    limits = select(Membership.refund_limit).order_by(Membership.user_id)
    assert db.session.scalars(limits).all() == [None, limit, None]


def test_every_refund_goes_to_the_charge_that_paid(amal, omar, sara):
    plan_id = people.a_plan(amal, total=100_00, count=2)
    for row, card in zip(people.installments_of(plan_id), ("card_ok", "card_slow"), strict=True):
        people.pay(row.id, omar, card)
    refund(plan_id, people.owner(amal), 80_00)
    paired = (
        select(Payment.gateway_key, tables.refunds.c.charge_key)
        .join(Refund, Refund.payment_id == Payment.id)
        .join(tables.refunds, tables.refunds.c.key == Refund.gateway_key)
    )
    pairs = db.session.execute(paired).all()
    assert len(pairs) == 2 and all(paid == refunded for paid, refunded in pairs)
