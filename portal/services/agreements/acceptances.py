"""Acceptance of a plan by its customer, the second mail that asks for it, and the lapse of a plan without one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

import structlog
from sqlalchemy import Select, or_, select

from portal.domain import clock, terms
from portal.domain.events import PlanAccepted
from portal.domain.money import Money
from portal.domain.terms import Accepting, TermsFacts
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Acceptance, Dispute, Installment, Merchant, Payment, Plan, User
from portal.models.plans.agreements import Way
from portal.services import events, row_facts, sweeps
from portal.services.agreements import voiding
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, notices, pairs
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

log = structlog.get_logger(__name__)

ASKED_AGAIN_AFTER: Final = timedelta(days=3)
BUDGET: Final = 20.0
"""Seconds after which the sweep leaves the remaining plans to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS


@dataclass(frozen=True, slots=True)
class Accepted(Result):
    """The customer accepted the plan, now or before."""

    version: ClassVar[int] = 5
    plan: PlanFacts


@unit_of_work
def accept(plan_id: int, *, customer_id: int, accepting: Accepting, request_key: RequestKey | None = None) -> Accepted:
    """Accept a plan, and end its dispute. The plan counts from now on. Accepting again changes nothing.

    Refuses: not_found (no such plan of this customer); nothing_owed (the plan is closed); idempotency_key_reused;
    still_running; busy.
    """
    plan = lock_owed(plan_id, customer_id)
    if plan.accepted_at is None:
        if plan.state != "active":
            raise Refused("nothing_owed", about="acceptance")
        accept_locked(plan, Installment.lock_of_plan(plan.id), accepting, way="button")
    return Accepted(row_facts.changed_plan(plan.id))


def accept_locked(plan: Plan, rows: Sequence[Installment], accepting: Accepting, *, way: Way) -> None:
    """Inside a unit of work that holds the plan's lock: accept it for its customer, unless that happened before.

    Paying a plan that needs no acceptance only marks it accepted: no terms were asked about, so none are kept.
    """
    if plan.accepted_at is not None or plan.state != "active":
        return
    was_settled = plan.counted and not plan.disputed
    if not plan.counted:
        agreement.count(plan, rows, by=plan.customer_id)
    pair = pairs.lock(plan.merchant_id, plan.customer_id)
    plan.accepted_at = clock.now()
    if plan.disputed:
        agreement.end_dispute(plan, "accepted", by=plan.customer_id)
    pair.accepted_at = pair.accepted_at or plan.accepted_at
    if was_settled and way == "payment":
        return
    _keep_terms(plan, rows, accepting, way)
    events.record(PlanAccepted(by_paying=way == "payment"), plan_id=plan.id, by=plan.customer_id)
    notices.tell_customer("plan_accepted", plan)
    notices.tell_business("accepted", plan)


def terms_of(plan: Plan, rows: Sequence[Installment], business: str, customer_email: str) -> TermsFacts:
    """The facts of a plan's terms. The page that asks, the mails and the acceptance share it.

    Of the rows (by due date) only the live ones count. The first payment is a deposit while no other replaced it.
    """
    live = [row for row in rows if row.moved < row.amount]
    is_first = bool(live) and live[0].number == 1 and live[0].added_at is None
    return TermsFacts(
        business=business,
        customer_email=customer_email,
        plan_id=plan.id,
        description=plan.description,
        total=Money(plan.total, plan.currency),
        schedule=tuple((row.due_date, Money(row.amount - row.moved, row.currency)) for row in live),
        grace_days=plan.grace_days,
        withdrawal_days=plan.withdrawal_days,
        deposit=plan.deposit is not None and is_first,
    )


def lock_owed(plan_id: int, customer_id: int) -> Plan:
    """Inside a unit of work: lock the plan of this customer. Refuses: not_found."""
    plan = Plan.lock(plan_id)
    if plan is None or plan.customer_id != customer_id:
        raise NotFound()
    return plan


def follow_up() -> int:
    """Ask again about plans that wait for acceptance, once after ASKED_AGAIN_AFTER, and cancel those that lapsed.

    Two runs at once are safe. A plan that fails is logged, and the others go on. Returns the number of plans looked at.
    """
    query = due_query(clock.now()).order_by(Plan.lapses_at).limit(500)
    ids = list(db.session.scalars(query))
    return sweeps.sweep(ids, _follow_up, budget=BUDGET, event="acceptance.not_followed_up", field="plan_id")


def due_query(now: datetime) -> Select[int]:
    """The ids of the plans that `follow_up` looks at."""
    waiting = select(Plan.id).where(Plan.state == "active", Plan.lapses_at.is_not(None))
    answered = select(Dispute.plan_id).where(Dispute.plan_id == Plan.id, Dispute.answered_at.is_not(None))
    answered = answered.where(Dispute.ended_at.is_(None))
    lapsed = Plan.lapses_at <= now
    asking = (Plan.lapses_at <= now + agreement.LAPSES_AFTER - ASKED_AGAIN_AFTER) & Plan.asked_again_at.is_(None)
    return waiting.where(or_(lapsed & ~answered.exists(), asking & ~Plan.disputed))


@unit_of_work
def _follow_up(plan_id: int) -> None:
    plan = Plan.lock(plan_id)
    if plan is None or not plan.is_asked or plan.lapses_at is None:
        return
    now = clock.now()
    if plan.lapses_at <= now:
        dispute = Dispute.of_plan(plan.id) if plan.disputed else None
        if (dispute is None or dispute.answered_at is None) and Payment.in_flight_of_plan(plan.id) is None:
            voiding.void(plan, Installment.lock_of_plan(plan.id), by=None, cause="lapsed")
            notices.tell_business("lapsed", plan)
    elif plan.asked_again_at is None and not plan.disputed:
        plan.asked_again_at = now
        notices.tell_customer("plan_made", plan, again=True)


def _keep_terms(plan: Plan, rows: Sequence[Installment], accepting: Accepting, way: Way) -> None:
    business = db.session.get_one(Merchant, plan.merchant_id).business_name
    email = db.session.get_one(User, plan.customer_id).email
    db.session.add(
        Acceptance(
            plan_id=plan.id,
            user_id=plan.customer_id,
            way=way,
            accepted_at=plan.accepted_at,
            address=accepting.address,
            version=terms.VERSION,
            language=accepting.language,
            terms=accepting.word(terms_of(plan, rows, business, email)),
        )
    )
