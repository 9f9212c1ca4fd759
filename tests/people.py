"""The people of the tests, made through the real verbs.

Amal sells for SAR in Riyadh and Omar is her customer. Badr sells for KWD in Kuwait. Sara is a customer whom neither of
them knows. Everybody has the same password, and everything returned is an id.
"""

from datetime import date, timedelta

from portal import clock
from portal.extensions import db
from portal.gateways.payment import DEFAULT_CARD
from portal.models import Installment, Merchant, Payment, Plan
from portal.schedule import Interval
from portal.services import accounts, payments, plans
from portal.services.accounts import NewAccount
from portal.services.plans import NewPlan

PASSWORD = "seven green boats"


def amal() -> int:
    """A merchant: SAR, Asia/Riyadh, no grace days."""
    return a_merchant("amal", business_name="Amal's Bakery", home_currency="SAR", time_zone="Asia/Riyadh")


def badr() -> int:
    """Another merchant: KWD, Asia/Kuwait."""
    return a_merchant("badr", business_name="Badr Electronics", home_currency="KWD", time_zone="Asia/Kuwait")


def omar() -> int:
    """Amal's customer, omar@example.com."""
    return a_customer("omar")


def sara() -> int:
    """A customer who has nothing to do with Amal or Badr."""
    return a_customer("sara")


def an_operator() -> int:
    """Looks after the installation."""
    return accounts.create_operator("olga", "olga@example.com", PASSWORD)


def a_merchant(
    name: str, *, business_name: str = "A shop", home_currency: str = "SAR", time_zone: str = "Asia/Riyadh"
) -> int:
    """A merchant `name` with the email name@example.com."""
    return accounts.register(
        NewAccount("merchant", name, f"{name}@example.com", PASSWORD, business_name, home_currency, time_zone)
    )


def a_customer(name: str) -> int:
    """A customer `name` with the email name@example.com."""
    return accounts.register(NewAccount("customer", name, f"{name}@example.com", PASSWORD))


def a_plan(
    merchant_id: int,
    email: str = "omar@example.com",
    *,
    total: int = 100_00,
    count: int = 3,
    first: date | int = 0,
    interval: Interval = "monthly",
    description: str = "A cake",
) -> int:
    """A plan of `total` minor units. `first` is its first due date, or that many days after the merchant's today."""
    if isinstance(first, int):
        first = today_of(merchant_id) + timedelta(days=first)
    new = NewPlan(email, total, count, first, interval, description)
    return plans.open_plan(merchant_id, new, past_dates=True).plan_id


def today_of(merchant_id: int) -> date:
    """The merchant's local date."""
    return clock.today(db.session.get_one(Merchant, merchant_id).time_zone)


def installments_of(plan_id: int) -> list[Installment]:
    """A plan's installments by number, as they are now."""
    db.session.rollback()
    found = db.select(Installment).where(Installment.plan_id == plan_id).order_by(Installment.number)
    return list(db.session.scalars(found.execution_options(populate_existing=True)))


def plan_of(plan_id: int) -> Plan:
    """A plan as it is now."""
    db.session.rollback()
    return db.session.get_one(Plan, plan_id, populate_existing=True)


def payment_of(payment_id: int) -> Payment:
    """A payment as it is now."""
    db.session.rollback()
    return db.session.get_one(Payment, payment_id, populate_existing=True)


def pay(installment_id: int, customer_id: int, method: str = DEFAULT_CARD, *, shown: int | None = None) -> Payment:
    """The customer pays what remains of an installment with this test card. Returns the payment as it is afterwards."""
    attempt = payments.pay_installment(installment_id, customer_id=customer_id, shown=shown, method=method)
    return payment_of(attempt.payment_id)
