"""Demo data: half a year of two merchants, four customers and twenty plans, dated relative to today.

Service functions write it. Each step checks whether it was done, so the next run completes an interrupted one, and a
further run changes nothing. Demo logins are public, so they work on a loopback address only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.domain import clock, permissions, schedule
from portal.domain.events import (
    CreditGiven,
    CustomerUpdated,
    Payload,
    PaymentRecorded,
    PaymentReversed,
    PlanCancelled,
    PlanWrittenOff,
    RefundSucceeded,
)
from portal.domain.permissions import Actor
from portal.domain.schedule import Interval
from portal.domain.terms import Accepting
from portal.errors import Refused
from portal.extensions import db
from portal.gateways import payment
from portal.models import Event, Installment, Letterhead, Payment, PaymentMethod, Plan, User, UsualTerms
from portal.services.accounts import accounts
from portal.services.accounts.accounts import NewAccount
from portal.services.adjustments import cancellations, credits, write_offs
from portal.services.agreements import acceptances
from portal.services.books import letterheads
from portal.services.books.letterheads import Words as Letter
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import Terms
from portal.services.payments import callbacks, manual_payments, payment_methods, payments, refunds
from portal.services.plans import pairs, plans
from portal.services.plans.pairs import Words as Noted
from portal.services.plans.plans import NewPlan
from portal.services.privacy import profiles
from portal.services.unit_of_work import unit_of_work
from portal.wording import terms
from portal.wording.language import SOURCE, in_language

DOMAIN: Final = "demo.example.com"
LETTERHEAD: Final = Letter(address="12 Olaya Street\nRiyadh 12211", email=f"hello@{DOMAIN}", phone="+966 11 555 0100")
USUAL_TERMS: Final = (
    Terms("Four months", 4, "monthly", None, 0),
    Terms("A quarter now, three months", 3, "monthly", 25, 30),
)
PASSWORD: Final = "four equal parts"  # noqa: S105 public; refused on any other address

MERCHANTS: Final = (
    NewAccount("merchant", "amal", f"amal@{DOMAIN}", PASSWORD, "Amal Home & Living", "SAR", "Asia/Riyadh", True),
    NewAccount("merchant", "badr", f"badr@{DOMAIN}", PASSWORD, "Badr Electronics", "KWD", "Asia/Kuwait", True),
)
CUSTOMERS: Final = tuple(
    NewAccount("customer", name, f"{name}@{DOMAIN}", PASSWORD, is_demo=True) for name in ("omar", "sara", "yusuf")
)
INVITED: Final = "noor"
"""The username of an invited customer without a password."""
NAMES: Final = {
    "omar": Noted("Omar Haddad", "+966 50 555 0101", "Prefers a call after five"),
    "sara": Noted("سارة القحطاني", "+966 50 555 0102", ""),
    "yusuf": Noted("Yusuf Al-Amin", "+966 50 555 0103", ""),
    INVITED: Noted("نور العتيبي", "+966 50 555 0104", "تفضّل الرسائل"),
}
"""The words of both businesses about their customers."""
HISTORY: Final = timedelta(days=170)
"""The time since the first registration."""

LOGINS: Final = tuple((new.role, new.username, new.password) for new in (*MERCHANTS, *CUSTOMERS))
"""Role, username and password of each demo account that can sign in."""


@dataclass(frozen=True, slots=True)
class _DemoPlan:
    """A demo plan: `total` in minor units; the first due date is `starts` days after the merchant's today.

    The first `paid` installments are paid, every second one `slow` days late. `tried` is a test card for a payment of
    the next installment. `then` names the action that follows.
    """

    merchant: str
    customer: str
    description: str
    total: int
    count: int
    interval: Interval
    starts: int
    paid: int = 0
    slow: int = 0
    tried: str = ""
    then: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """A step at an instant, not after now. `run` returns False if the step was done before."""

    at: datetime
    run: Callable[[], bool]


PLANS: Final = (
    _DemoPlan(
        "amal", "omar", "Oak dining table, six chairs", 480_000, 6, "monthly", -155, paid=6, slow=3, then="refund"
    ),
    _DemoPlan("amal", "omar", "Linen sofa, three seats", 320_000, 4, "monthly", -34, paid=2, slow=2, then="transfer"),
    _DemoPlan("amal", "omar", "Standing lamp", 45_000, 3, "biweekly", 0),
    _DemoPlan("amal", "sara", "Wool carpet 2 by 3 metres", 210_000, 6, "monthly", -95, paid=2),
    _DemoPlan("amal", "sara", "Bookshelf in walnut", 132_000, 4, "biweekly", -14, paid=1, tried="card_declined"),
    _DemoPlan("amal", "sara", "Bed linen set", 27_500, 2, "weekly", -10, paid=1, then="credit"),
    _DemoPlan("amal", "yusuf", "Writing desk", 99_999, 7, "weekly", -20, paid=3, slow=1, then="cash"),
    _DemoPlan("amal", "yusuf", "Kitchen island", 650_000, 12, "monthly", 9),
    _DemoPlan("amal", "yusuf", "Two bar stools", 38_000, 2, "monthly", -40, tried="card_insufficient_funds"),
    _DemoPlan("amal", INVITED, "Mirror with brass frame", 56_000, 4, "biweekly", 3),
    _DemoPlan("amal", "omar", "Curtains for four windows", 124_000, 4, "monthly", 21, paid=1, then="cancel"),
    _DemoPlan("amal", "sara", "Garden table", 88_000, 4, "weekly", 1, paid=1, tried="card_lost_charged"),
    _DemoPlan("badr", "omar", "Laptop, 14 inches", 345_500, 10, "monthly", -62, paid=3, slow=4),
    _DemoPlan("badr", "omar", "Headphones", 49_900, 3, "monthly", -1),
    _DemoPlan("badr", "sara", "Washing machine", 210_000, 6, "monthly", -3, paid=1),
    _DemoPlan("badr", "sara", "Coffee machine", 89_750, 4, "biweekly", -60, paid=3, then="write_off"),
    _DemoPlan(
        "badr",
        "yusuf",
        "Camera with two lenses",
        412_000,
        8,
        "monthly",
        -100,
        paid=1,
        tried="card_reversed_later",
        then="reversal",
    ),
    _DemoPlan("badr", "yusuf", "Phone, 256 GB", 310_000, 12, "monthly", 14, paid=2),
    _DemoPlan("badr", "yusuf", "Phone case and charger", 12_345, 1, "monthly", 5, tried="card_lost_not_charged"),
    _DemoPlan("badr", INVITED, "Tablet for school", 120_000, 6, "monthly", 7),
)


def seed(say: Callable[[str], object] = lambda _: None) -> bool:
    """Add the missing demo data. Returns whether any was missing. `say` receives the progress.

    The steps run in the order of their instants. Refuses: not_simulated (demo payments need test cards), and the codes
    of the services, for example if another account has one of the demo usernames.
    """
    if not payment.active().is_simulated:
        raise Refused("not_simulated")
    steps = sorted(_steps(clock.now()), key=lambda step: step.at)
    changed = False
    for number, step in enumerate(steps, 1):
        with clock.pretend(step.at):
            changed |= step.run()
        if number % 30 == 0:
            say(f"demo data: {number} of {len(steps)} steps")
    return changed


def _steps(now: datetime) -> Iterator[_Step]:
    """All steps. The steps of a plan are in order, and no step is after `now`."""
    for index, new in enumerate((*MERCHANTS, *CUSTOMERS)):
        yield _Step(now - HISTORY + timedelta(hours=index), partial(_register, new))
    for new in CUSTOMERS:
        yield _Step(now - HISTORY + timedelta(hours=6), partial(_introduce, new.username))
    yield _Step(now - HISTORY + timedelta(days=1), partial(_invite, f"{INVITED}@{DOMAIN}"))
    yield _Step(now - HISTORY + timedelta(days=1), partial(_set_up, "amal"))
    yield _Step(now - timedelta(days=30), partial(_save_card, "omar"))
    zones = {new.username: new.time_zone for new in MERCHANTS}
    for index, plan in enumerate(PLANS):
        yield from _plan_steps(plan, index, now, zones[plan.merchant])


def _plan_steps(plan: _DemoPlan, index: int, now: datetime, zone: str) -> Iterator[_Step]:
    today = clock.local_date(now, zone)
    starts = today + timedelta(days=plan.starts)
    due = schedule.due_dates(plan.count, plan.interval, starts)
    days = [min(starts, today) - timedelta(days=2 + index % 3)] * 2
    days += [due[number] + timedelta(days=plan.slow if number % 2 else 0) for number in range(plan.paid)]
    actions = [partial(_open, plan, starts), partial(_describe, plan)]
    actions += [partial(_pay, plan, number, "card_ok") for number in range(1, plan.paid + 1)]
    if plan.tried:
        days.append(today if plan.tried.startswith("card_lost") else due[plan.paid])
        actions.append(partial(_pay, plan, plan.paid + 1, plan.tried))
    if plan.then:
        days.append(min(days[-1], today) + timedelta(days=1))
        actions.append(partial(_run_action, plan))
    hour = time(9 + index % 9, index * 7 % 60)
    at = now - HISTORY
    for day, action in zip(days, actions, strict=True):
        at = max(at, min(now, datetime.combine(day, hour, ZoneInfo(zone))))
        yield _Step(at, action)


def _register(new: NewAccount) -> bool:
    if db.session.scalar(select(User.id).where(User.has_email(new.email))) is not None:
        return False
    accounts.register(new)
    return True


@unit_of_work
def _invite(email: str) -> bool:
    """Make the invited customer's account, and mark it as a demo account before the first mail to it is written."""
    if db.session.scalar(select(User.id).where(User.has_email(email))) is not None:
        return False
    accounts.find_or_invite(email).is_demo = True
    return True


def _introduce(customer: str) -> bool:
    """The customer keeps name and phone on their account, before the first plan: later they may have changed them."""
    user_id = _id_of(customer)
    if db.session.scalar(select(Plan.id).where(Plan.customer_id == user_id).limit(1)) is not None:
        return False
    if db.session.get_one(User, user_id).full_name:
        return False
    profiles.update(user_id, full_name=NAMES[customer].name, phone=NAMES[customer].phone)
    return True


def _set_up(merchant: str) -> bool:
    """The business's letterhead and its usual terms."""
    owner = _owner(merchant)
    merchant_id = owner.business("settings")
    if Letterhead.of(merchant_id) is not None:
        return False
    added = {row.name for row in db.session.scalars(UsualTerms.of_merchant(merchant_id))}
    for new in USUAL_TERMS:
        if new.name not in added:
            usual_terms.add(owner, new)
    letterheads.change(owner, LETTERHEAD)
    return True


def _save_card(customer: str) -> bool:
    customer_id = _id_of(customer)
    if db.session.scalar(select(PaymentMethod.id).where(PaymentMethod.customer_id == customer_id).limit(1)) is not None:
        return False
    payment_methods.save(customer_id, "card_ok")
    return True


def _open(demo: _DemoPlan, starts: date) -> bool:
    if _plan_of(demo) is not None:
        return False
    new = NewPlan(f"{demo.customer}@{DOMAIN}", demo.total, demo.count, starts, demo.interval, demo.description)
    plans.open_plan(_owner(demo.merchant), new)
    _accept(demo)
    return True


def _accept(demo: _DemoPlan) -> None:
    """The customer accepts a plan that waits for it, as PLAN_ACCEPTANCE=required wants; the invited one does not."""
    plan = db.session.get(Plan, _plan_of(demo))
    if plan is None or not plan.is_asked or demo.customer == INVITED:
        return
    with in_language(SOURCE):
        accepting = Accepting(address="127.0.0.1", language=SOURCE, word=terms.terms)
        acceptances.accept(plan.id, customer_id=plan.customer_id, accepting=accepting)


def _describe(demo: _DemoPlan) -> bool:
    """The business notes name and phone of its customer, once for all their plans."""
    plan_id = _plan_of(demo)
    if plan_id is None:
        return False
    plan = db.session.get_one(Plan, plan_id)
    theirs = select(Plan.id).where(Plan.merchant_id == plan.merchant_id, Plan.customer_id == plan.customer_id)
    noted = select(Event.id).where(Event.plan_id.in_(theirs), Event.kind == CustomerUpdated.kind)
    if db.session.scalar(noted.limit(1)) is not None:
        return False
    pairs.describe(plan.customer_id, NAMES[demo.customer], actor=_owner(demo.merchant))
    return True


def _pay(demo: _DemoPlan, number: int, card: str) -> bool:
    plan_id = _plan_of(demo)
    if plan_id is None or (demo.then and _happened(plan_id, _ACTIONS[demo.then][0])):
        return False
    row = db.session.scalars(
        select(Installment).where(Installment.plan_id == plan_id, Installment.number == number)
    ).one()
    tried = db.session.scalar(select(Payment.id).where(Payment.plan_id == plan_id, Payment.method == card).limit(1))
    if not row.is_open or (card != "card_ok" and tried is not None):
        return False
    payments.pay_installment(row.id, customer_id=row.customer_id, shown=row.remaining, method=card)
    return True


def _run_action(demo: _DemoPlan) -> bool:
    plan_id = _plan_of(demo)
    payload, action = _ACTIONS[demo.then]
    if plan_id is None or _happened(plan_id, payload):
        return False
    action(plan_id, _owner(demo.merchant))
    return True


def _id_of(username: str) -> int:
    return db.session.scalars(select(User.id).where(User.has_username(username))).one()


def _owner(username: str) -> Actor:
    merchant_id = _id_of(username)
    return permissions.member(merchant_id, merchant_id, "owner")


def _plan_of(demo: _DemoPlan) -> int | None:
    query = select(Plan.id).where(Plan.merchant_id == _id_of(demo.merchant), Plan.description == demo.description)
    return db.session.scalar(query)


def _happened(plan_id: int, payload: type[Payload]) -> bool:
    query = select(Event.id).where(Event.plan_id == plan_id, Event.kind == payload.kind)
    return db.session.scalar(query.limit(1)) is not None


def _refund(plan_id: int, actor: Actor) -> None:
    refunds.refund(plan_id, actor=actor, amount=40_000, reason="One chair came with a scratch")


def _credit(plan_id: int, actor: Actor) -> None:
    credits.credit(plan_id, actor=actor, amount=2_500, how="last", reason="Delivered a week late")


def _cash(plan_id: int, actor: Actor) -> None:
    today = db.session.get_one(Plan, plan_id).today
    manual_payments.record(
        plan_id, actor=actor, amount=20_000, method="cash", received_on=today, reference="Receipt 1041"
    )


def _cancel(plan_id: int, actor: Actor) -> None:
    cancellations.cancel(plan_id, actor=actor, refund=10_000, reason="The fabric is sold out")


def _write_off(plan_id: int, actor: Actor) -> None:
    write_offs.write_off(plan_id, actor=actor, reason="Moved abroad, cannot be reached")


def _reverse(plan_id: int, actor: Actor) -> None:
    """The bank takes the payment with the bouncing card back, and the gateway tells it."""
    callbacks.deliver_due()


def _transfer(plan_id: int, actor: Actor) -> None:
    today = db.session.get_one(Plan, plan_id).today
    manual_payments.record(
        plan_id, actor=actor, amount=30_000, method="transfer", received_on=today, reference="INV 2207"
    )


_ACTIONS: Final[dict[str, tuple[type[Payload], Callable[[int, Actor], None]]]] = {
    "refund": (RefundSucceeded, _refund),
    "credit": (CreditGiven, _credit),
    "cash": (PaymentRecorded, _cash),
    "transfer": (PaymentRecorded, _transfer),
    "cancel": (PlanCancelled, _cancel),
    "write_off": (PlanWrittenOff, _write_off),
    "reversal": (PaymentReversed, _reverse),
}
"""The actions after the payments, each with the event that shows that it was done."""
