"""Withdrawal within the business's days, while nothing is delivered; and shops that a person blocks."""

from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Merchant
from portal.reports.operations import checks
from portal.services.accounts import accounts
from portal.services.accounts.merchant_settings import Settings
from portal.services.agreements import withdrawals
from portal.services.payments import payments
from portal.services.plans import pairs
from tests.fixtures import mails, people
from tests.fixtures.agreements import books, pair_of

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def amal():
    amal = people.amal()
    set_days(amal, 14)
    return amal


@pytest.fixture
def omar(amal):
    return people.omar()


def set_days(merchant_id, days):
    merchant = db.session.get_one(Merchant, merchant_id)
    accounts.update_merchant(
        people.owner(merchant_id),
        Settings(
            business_name=merchant.business_name,
            time_zone=merchant.time_zone,
            grace_days=0,
            home_currency=merchant.home_currency,
            withdrawal_days=days,
        ),
    )


def test_the_rest_is_void_and_the_business_is_told(amal, omar):
    plan_id = people.a_plan(amal)
    payments.pay_plan(plan_id, customer_id=omar, choice="amount", amount=10_00, shown=None, method="card_ok")
    withdrawals.withdraw(plan_id, customer_id=omar)
    assert people.plan_of(plan_id).status == "cancelled"
    assert books(plan_id) == {"clearing": 10_00, "sales": -100_00, "credits": 90_00}
    assert [(mail.kind, mail.data.get("news")) for mail in mails.outbox()][1:] == [
        ("plan_withdrawn", None), ("plan_news", "withdrawn"),
    ]  # fmt: skip
    assert [rule for rule, count in checks.run() if count] == []


@pytest.mark.parametrize(("days", "refused"), [(0, False), (14, False), (15, True)])
def test_the_days_count_from_the_plans_creation_in_its_zone(amal, omar, days, refused):
    plan_id = people.a_plan(amal)
    with time_machine.travel(clock.now() + timedelta(days=days)):
        if refused:
            with pytest.raises(Refused) as error:
                withdrawals.withdraw(plan_id, customer_id=omar)
            assert error.value.code == "no_withdrawal"
        else:
            withdrawals.withdraw(plan_id, customer_id=omar)


def test_a_delivery_ends_the_right(amal, omar):
    plan_id = people.a_plan(amal)
    withdrawals.mark_delivered(plan_id, actor=people.owner(amal))
    withdrawals.mark_delivered(plan_id, actor=people.owner(amal))
    with pytest.raises(Refused):
        withdrawals.withdraw(plan_id, customer_id=omar)


def test_a_payment_in_flight_delays_it(amal, omar):
    plan_id = people.a_plan(amal)
    payments.pay_plan(plan_id, customer_id=omar, choice="amount", amount=1, shown=None, method="card_lost_charged")
    with pytest.raises(Refused) as refused:
        withdrawals.withdraw(plan_id, customer_id=omar)
    assert refused.value.code == "payment_in_flight"


def test_a_change_of_the_days_counts_for_later_plans(amal, omar):
    plan_id = people.a_plan(amal)
    set_days(amal, 0)
    withdrawals.withdraw(plan_id, customer_id=omar)
    with pytest.raises(Refused):
        withdrawals.withdraw(people.a_plan(amal), customer_id=omar)


def test_thirty_days_at_most(amal):
    with pytest.raises(Invalid) as refused:
        set_days(amal, 31)
    assert refused.value.faults[0].field == "withdrawal_days"


def test_strangers_neither_withdraw_nor_deliver(amal, omar):
    plan_id = people.a_plan(amal)
    with pytest.raises(NotFound):
        withdrawals.withdraw(plan_id, customer_id=people.sara())
    with pytest.raises(NotFound):
        withdrawals.mark_delivered(plan_id, actor=people.owner(people.badr()))
    with pytest.raises(Forbidden):
        withdrawals.mark_delivered(plan_id, actor=people.actor_of(omar))


def test_a_blocked_shop_makes_no_plan_with_the_words_of_a_barred_one(amal, omar):
    plan_id = people.a_plan(amal)
    pairs.block(amal, user_id=omar)
    pairs.block(amal, user_id=omar)
    with pytest.raises(Invalid) as refused:
        people.a_plan(amal)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("customer_email", "blocked")]
    assert people.plan_of(plan_id).state == "active"
    people.a_plan(amal, "sara@example.com")
    pairs.allow(amal, user_id=omar)
    people.a_plan(amal)
    assert pair_of(amal, omar).blocked_at is None


def test_only_known_shops_are_blocked(amal):
    with pytest.raises(NotFound):
        pairs.block(amal, user_id=people.sara())
