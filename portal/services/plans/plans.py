"""Open a plan: one purchase, split into installments."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar, Final

from sqlalchemy import func, select

from portal.domain import clock, money, permissions, schedule, typed_text
from portal.domain.events import PlanOpened
from portal.domain.permissions import Actor
from portal.domain.schedule import Interval
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Installment, Merchant, Plan
from portal.services import events, ledger, mail_limits, row_facts
from portal.services.accounts import accounts, hats
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, invitations, notices, pairs
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

EXTERNAL_ID_MAX: Final = 100
NOTES_MAX: Final = 20
NOTE_NAME_MAX: Final = 40
NOTE_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class NewPlan:
    """The input of a new plan. `total` is in minor units of the merchant's home currency, `start_date` a local date.

    `external_id` is the merchant's own identifier of the plan, a typed text of at most EXTERNAL_ID_MAX code points.
    `notes` are the merchant's own texts, which the product stores as they are and does not read.
    """

    customer_email: str
    total: int
    num_installments: int
    start_date: date
    interval: Interval = "monthly"
    description: str = ""
    external_id: str | None = None
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanCreated(Result):
    """The new plan. A customer without an account was invited."""

    version: ClassVar[int] = 4

    plan: PlanFacts

    @property
    def plan_id(self) -> int:
        return self.plan.id


@dataclass(frozen=True, slots=True)
class PlanFound(Result):
    """An equal plan with this external id existed before. Nothing was created."""

    version: ClassVar[int] = 3

    plan: PlanFacts

    @property
    def plan_id(self) -> int:
        return self.plan.id


@unit_of_work
def open_plan(
    actor: Actor, new: NewPlan, *, past_dates: bool = False, request_key: RequestKey | None = None
) -> PlanCreated | PlanFound:
    """Create a plan with its whole schedule, and mail its customer: one without an account is invited.

    The plan is booked, unless it waits for its customer's acceptance: with PLAN_ACCEPTANCE=required that is so until
    the customer has accepted a plan of this business.

    `past_dates` allows a first due date before the merchant's today (for migrations over the API).
    Refuses: forbidden; merchant_draft (an operator has not approved the business yet), merchant_deactivated,
    merchant_closing, merchant_closed; Invalid, with all faults at once, on customer_email (also blocked: by the
    customer, or since a dispute), total_amount, num_installments, start_date, interval, description, external_id and
    metadata; Invalid on customer_email for an invitation beyond the limits (plan_limit, mail_limit); external_id_used
    (by a different plan; facts: plan_id); idempotency_key_reused; still_running; busy.
    """
    return open_inside(actor, new, past_dates=past_dates)


def open_inside(actor: Actor, new: NewPlan, *, past_dates: bool) -> PlanCreated | PlanFound:
    """Inside a unit of work: `open_plan`."""
    merchant_id = actor.business("create_plans")
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"read": True}, populate_existing=True)
    hats.confirm(actor, "create_plans")
    _check_standing(merchant)
    faults = plan_faults(new, clock.today(merchant.time_zone), past_dates=past_dates)
    try:
        customer = accounts.find_or_invite(new.customer_email, merchant_id)
    except Invalid as invalid:
        raise Invalid(*invalid.faults, *faults) from None
    if faults:
        raise Invalid(*faults)
    if new.external_id is not None:
        new = replace(new, external_id=typed_text.read(new.external_id))
    if (plan := _of_external_id(merchant_id, new.external_id)) is not None:
        if not _is_same(plan, customer.id, new):
            raise Refused("external_id_used", plan_id=plan.id)
        return PlanFound(row_facts.changed_plan(plan.id))
    pair = pairs.lock(merchant_id, customer.id)
    if pair.is_closed:
        raise Invalid(Fault("customer_email", "blocked"))
    if not customer.is_claimed:
        mail_limits.check_invitation(merchant_id, customer)
    now, asks = clock.now(), pair.accepted_at is None and agreement.is_required()
    plan = Plan(
        merchant_id=merchant_id,
        customer_id=customer.id,
        description=typed_text.read(new.description),
        external_id=new.external_id,
        notes=new.notes,
        total=new.total,
        currency=merchant.home_currency,
        num_installments=new.num_installments,
        interval=new.interval,
        start_date=new.start_date,
        time_zone=merchant.time_zone,
        grace_days=merchant.grace_days,
        withdrawal_days=merchant.withdrawal_days,
        counted=not asks,
        lapses_at=now + agreement.LAPSES_AFTER if asks else None,
        created_at=now,
        updated_at=now,
    )
    db.session.add(plan)
    db.session.flush()
    db.session.add_all(_installments(plan))
    if plan.counted:
        ledger.book_plan(plan, by=actor.user_id)
    opened = PlanOpened(amount=plan.total, installments=plan.num_installments)
    events.record(opened, plan_id=plan.id, by=actor.user_id)
    if customer.is_claimed:
        notices.tell_customer("plan_made", plan)
    else:
        invitations.invite(plan, by=actor.user_id)
    return PlanCreated(row_facts.changed_plan(plan.id))


def _check_standing(merchant: Merchant) -> None:
    """A request may have begun before the business was deactivated. The lock makes both wait for one another."""
    if merchant.standing == "draft":
        raise Refused("merchant_draft")
    if merchant.standing != "live":
        raise permissions.STOPS[merchant.standing]()


def plan_faults(new: NewPlan, today: date, *, past_dates: bool = False) -> list[Fault]:
    """The faults of a new plan, apart from its customer. `today` is the merchant's local date."""
    faults = []
    if not 0 < new.total <= money.MAX_MINOR:
        faults.append(Fault("total_amount", "bad_total"))
    if not 1 <= new.num_installments <= schedule.MAX_INSTALLMENTS:
        faults.append(Fault("num_installments", "bad_count", limit=schedule.MAX_INSTALLMENTS))
    elif 0 < new.total < new.num_installments:
        faults.append(Fault("total_amount", "total_too_small"))
    if new.interval not in schedule.INTERVALS:
        faults.append(Fault("interval", "bad_interval"))
    if not past_dates and new.start_date < today:
        faults.append(Fault("start_date", "date_in_past"))
    elif not faults:
        try:
            schedule.build(new.total, new.num_installments, new.interval, new.start_date)
        except ValueError:
            first, last = schedule.FIRST_DATE.year, schedule.LAST_DATE.year
            faults.append(Fault("start_date", "bad_dates", first=first, last=last))
    return faults + text_faults("description", new.description) + _reference_faults(new)


def _reference_faults(new: NewPlan) -> list[Fault]:
    """The faults of the external id and the notes."""
    faults = []
    if new.external_id is not None:
        missing = Fault("external_id", "required", about="external_id")
        faults += text_faults("external_id", new.external_id, if_empty=missing, limit=EXTERNAL_ID_MAX)
    if len(new.notes) > NOTES_MAX:
        faults.append(Fault("metadata", "too_many", limit=NOTES_MAX))
    if any(not 0 < len(name) <= NOTE_NAME_MAX or len(text) > NOTE_MAX for name, text in new.notes.items()):
        faults.append(Fault("metadata", "too_long", name_limit=NOTE_NAME_MAX, limit=NOTE_MAX))
    if not all(_can_be_stored(text) for note in new.notes.items() for text in note):
        faults.append(Fault("metadata", "unusable"))
    return faults


def _can_be_stored(text: str) -> bool:
    """PostgreSQL stores neither NUL nor a lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _of_external_id(merchant_id: int, external_id: str | None) -> Plan | None:
    """The merchant's plan with this external id. Locks the id until the transaction ends, for an insert."""
    if external_id is None:
        return None
    name = f"plan:{merchant_id}:{external_id}"
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    return db.session.scalar(Plan.of_merchant(merchant_id).where(Plan.external_id == external_id))


def _is_same(plan: Plan, customer_id: int, new: NewPlan) -> bool:
    description = typed_text.read(new.description)
    new_facts = (customer_id, new.total, new.num_installments, new.start_date, new.interval, description)
    plan_facts = (plan.customer_id, plan.total, plan.num_installments, plan.start_date, plan.interval, plan.description)
    return new_facts == plan_facts and new.notes == plan.notes


def _installments(plan: Plan) -> list[Installment]:
    rows = schedule.build(plan.total, plan.num_installments, plan.interval, plan.start_date)
    return [
        Installment(
            plan_id=plan.id,
            merchant_id=plan.merchant_id,
            customer_id=plan.customer_id,
            currency=plan.currency,
            number=row.number,
            due_date=row.due_date,
            late_on=schedule.late_on(row.due_date, plan.grace_days),
            late_at=schedule.late_at(row.due_date, plan.grace_days, plan.time_zone),
            amount=row.amount,
            counted=plan.counted,
        )
        for row in rows
    ]
