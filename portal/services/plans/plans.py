"""Open a plan: one purchase, split into installments."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, ClassVar, Final, cast

from sqlalchemy import Table, insert, select

from portal.domain import clock, money, permissions, schedule, typed_text
from portal.domain.events import PlanOpened
from portal.domain.money import Money
from portal.domain.permissions import Actor
from portal.domain.schedule import PlanInterval, Row
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db, session
from portal.models import Installment, Merchant, Plan
from portal.models.loaded import loaded
from portal.services import events, ledger, mail_limits, row_facts
from portal.services.accounts import accounts, hats
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, invitations, notices, pairs, plan_lock
from portal.services.results import Result
from portal.services.row_facts import InstallmentFacts, PlanFacts
from portal.services.text_faults import OwnData, own_data_faults, text_faults
from portal.services.unit_of_work import unit_of_work

_COLUMNS: Final = {Plan.__mapper__.get_property_by_column(column).key: column.name for column in Plan.__table__.c}
"""The names of the columns, by attribute."""
_INSERT: Final = insert(cast(Table, Plan.__table__)).returning(*Plan.__table__.c)
_INSERT_INSTALLMENTS: Final = """
parts# AS (
    INSERT INTO installments (plan_id, merchant_id, customer_id, currency, counted, paid, credited, written_off,
        number, due_date, late_on, late_at, amount)
    SELECT %s, %s, %s, %s, %s, 0, 0, 0, *
    FROM unnest(%s::smallint[], %s::date[], %s::date[], %s::timestamptz[], %s::bigint[])
    RETURNING id, number
)"""

OF_TODAY: Final = frozenset({"date_in_past", "date_after_deposit"})
"""The faults that depend on the day. The repeat of a plan that was made does not have them."""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """The input of a new plan. `total` is in minor units of the merchant's home currency, `start_date` a local date.

    `external_id` is the merchant's own identifier of the plan, a typed text of at most EXTERNAL_ID_MAX code points.
    `notes` are the merchant's own texts, which the product stores as they are and does not read.

    With a `deposit` (minor units) that amount is due at once, on `deposit_on` (None: the day of creation), and the rest
    is split into `num_installments` from `start_date`. With `rows` these local dates and amounts are the schedule, the
    interval is `custom`, and `num_installments` and `start_date` are not read.
    """

    customer_email: str
    total: int
    num_installments: int
    start_date: date
    interval: PlanInterval = "monthly"
    description: str = ""
    external_id: str | None = None
    notes: dict[str, str] = field(default_factory=dict)
    deposit: int | None = None
    deposit_on: date | None = None
    rows: tuple[tuple[date, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class PlanCreated(Result):
    """The new plan. A customer without an account was invited."""

    version: ClassVar[int] = 7

    plan: PlanFacts

    @property
    def plan_id(self) -> int:
        return self.plan.id


@dataclass(frozen=True, slots=True)
class PlanFound(Result):
    """An equal plan with this external id existed before. Nothing was created."""

    version: ClassVar[int] = 6

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
    customer, or since a dispute), total_amount, num_installments, start_date, interval, deposit, installments,
    description, external_id and metadata; Invalid on customer_email for an invitation beyond the limits (plan_limit,
    mail_limit); external_id_used (by a different plan; facts: plan_id); idempotency_key_reused; still_running; busy.
    """
    return open_inside(actor, new, past_dates=past_dates)


def open_inside(
    actor: Actor, new: NewPlan, *, past_dates: bool, import_id: int | None = None
) -> PlanCreated | PlanFound:
    """Inside a unit of work: `open_plan`. `import_id` is the import that the plan came with."""
    merchant = hats.lock_business(actor, "create_plans")
    merchant_id = merchant.id
    _check_standing(merchant)
    today = clock.today(merchant.time_zone)
    faults = plan_faults(new, today, merchant.home_currency, past_dates=past_dates)
    try:
        customer = accounts.find_or_invite(new.customer_email, merchant_id)
    except Invalid as invalid:
        raise Invalid(*invalid.faults, *faults) from None
    if any(fault.code not in OF_TODAY for fault in faults):
        raise Invalid(*faults)
    if new.external_id is not None:
        new = replace(new, external_id=typed_text.read(new.external_id))
    plan = _of_external_id(merchant_id, new.external_id)
    if plan is not None and _is_same(plan, customer.id, new):
        return PlanFound(row_facts.changed_plan(plan.id))
    if faults:
        raise Invalid(*faults)
    if plan is not None:
        raise Refused("external_id_used", plan_id=plan.id)
    pair = pairs.lock(merchant_id, customer.id)
    if pair.is_closed:
        raise Invalid(Fault("customer_email", "blocked"))
    if not customer.is_claimed:
        mail_limits.check_invitation(merchant_id, customer)
    now, asks = clock.now(), pair.accepted_at is None and agreement.is_required()
    rows = schedule_of(new, today)
    first = min(row.due_date for row in rows)
    plan = _insert(
        merchant_id=merchant_id,
        customer_id=customer.id,
        description=typed_text.read(new.description),
        external_id=new.external_id,
        notes=new.notes,
        total=new.total,
        currency=merchant.home_currency,
        num_installments=len(rows),
        interval=new.interval if new.rows is None else "custom",
        start_date=new.start_date if new.rows is None else rows[0].due_date,
        deposit=new.deposit if new.rows is None else None,
        time_zone=merchant.time_zone,
        grace_days=merchant.grace_days,
        withdrawal_days=merchant.withdrawal_days,
        counted=not asks,
        lapses_at=now + agreement.LAPSES_AFTER if asks else None,
        import_id=import_id,
        next_due_on=first,
        next_late_at=None if asks else schedule.late_at(first, merchant.grace_days, merchant.time_zone),
        created_at=now,
        updated_at=now,
    )
    if plan.counted:
        ledger.book_plan(plan, by=actor.user_id)
    opened = PlanOpened(amount=plan.total, installments=plan.num_installments)
    events.record(opened, plan_id=plan.id, by=actor.user_id)
    if customer.is_claimed:
        notices.tell_customer("plan_made", plan)
    else:
        invitations.invite(plan, by=actor.user_id)
    parts = _insert_installments(plan, rows)
    return PlanCreated(row_facts.of_plan(plan, (customer.email, merchant.business_name), parts, (0, 0)))


def _insert(**values: Any) -> Plan:
    """The new row, in the session, as PostgreSQL returns it. The ORM would take four times as long to insert it."""
    row = db.session.execute(_INSERT, {_COLUMNS[name]: value for name, value in values.items()}).one()
    return loaded(Plan, dict(zip(_COLUMNS, row, strict=True)))


def _insert_installments(plan: Plan, rows: list[Row]) -> list[InstallmentFacts]:
    """Insert the installments together with what waits in the queue. Returns them by due date."""
    late = [schedule.late_at(row.due_date, plan.grace_days, plan.time_zone) for row in rows]
    columns: list[list[Any]] = [
        [row.number for row in rows],
        [row.due_date for row in rows],
        [schedule.late_on(row.due_date, plan.grace_days) for row in rows],
        late,
        [row.amount for row in rows],
    ]
    of_plan = plan.id, plan.merchant_id, plan.customer_id, plan.currency, plan.counted
    session().queue.add_part(_INSERT_INSTALLMENTS, (*of_plan, *columns))
    ids = session().write_queue("(SELECT json_object_agg(number, id) FROM parts#)")
    now = clock.now()
    facts = [
        InstallmentFacts(
            id=ids[str(row.number)],
            plan_id=plan.id,
            number=row.number,
            amount=row.amount,
            currency=plan.currency,
            due_date=row.due_date,
            status="late" if plan.counted and late_at <= now else "pending",
            paid_at=None,
            paid=0,
            credited=0,
            written_off=0,
            remaining=row.amount,
        )
        for row, late_at in zip(rows, late, strict=True)
    ]
    return sorted(facts, key=lambda row: (row.due_date, row.number))


def _check_standing(merchant: Merchant) -> None:
    """A request may have begun before the business was deactivated. The lock makes both wait for one another."""
    if merchant.standing == "draft":
        raise Refused("merchant_draft")
    if merchant.standing != "live":
        raise permissions.STOPS[merchant.standing]()


def schedule_of(new: NewPlan, today: date) -> list[Row]:
    """The schedule that saving creates on `today` (the merchant's local date). Previews call it, too.

    Raises ValueError for a plan with faults.
    """
    if new.rows is not None:
        return schedule.of_own(new.rows)
    if new.interval == "custom":
        raise ValueError("Own dates come with the rows.")
    if new.deposit is None:
        return schedule.build(new.total, new.num_installments, new.interval, new.start_date)
    day = new.deposit_on or today
    return schedule.with_deposit(new.total, new.deposit, day, new.num_installments, new.interval, new.start_date)


def plan_faults(new: NewPlan, today: date, currency: str, *, past_dates: bool = False) -> list[Fault]:
    """The faults of a new plan, apart from its customer. `today` is the merchant's local date."""
    faults = []
    if not 0 < new.total <= money.MAX_MINOR:
        faults.append(Fault("total_amount", "bad_total"))
    if new.rows is not None:
        faults += _row_faults(new, new.rows, today, currency, past_dates=past_dates)
    else:
        faults += _term_faults(new, today, past_dates=past_dates, bad_total=bool(faults))
    return faults + text_faults("description", new.description) + own_data_faults(OwnData(new.external_id, new.notes))


def _term_faults(new: NewPlan, today: date, *, past_dates: bool, bad_total: bool) -> list[Fault]:
    """The faults of a count, an interval, a first date and a deposit."""
    faults = []
    deposit = new.deposit or 0
    limit = schedule.MAX_INSTALLMENTS - (new.deposit is not None)
    if new.deposit is not None and not bad_total and not 0 < new.deposit < new.total:
        faults.append(Fault("deposit", "bad_deposit"))
    if not 1 <= new.num_installments <= limit:
        faults.append(Fault("num_installments", "bad_count", limit=limit))
    elif 0 < new.total - deposit < new.num_installments:
        faults.append(Fault("total_amount", "total_too_small"))
    if new.interval not in schedule.INTERVALS:
        faults.append(Fault("interval", "bad_interval"))
    if new.deposit is not None and new.start_date <= (new.deposit_on or today):
        faults.append(Fault("start_date", "date_after_deposit"))
    elif not past_dates and new.start_date < today:
        faults.append(Fault("start_date", "date_in_past"))
    elif not faults and not bad_total:
        try:
            schedule_of(new, today)
        except ValueError:
            faults.append(_bad_dates("start_date"))
    return faults


def _row_faults(
    new: NewPlan, rows: tuple[tuple[date, int], ...], today: date, currency: str, *, past_dates: bool
) -> list[Fault]:
    """The faults of own dates and amounts: amounts above zero that sum to the total, on rising dates."""
    if not 1 <= len(rows) <= schedule.MAX_INSTALLMENTS:
        return [Fault("installments", "bad_count", limit=schedule.MAX_INSTALLMENTS)]
    faults = []
    before = date.min
    for place, (due, amount) in enumerate(rows):
        if amount < 1:
            faults.append(Fault(f"installments/{place}/amount", "bad_amount", about="zero"))
        day = f"installments/{place}/due_date"
        if not schedule.FIRST_DATE <= due <= schedule.LAST_DATE:
            faults.append(_bad_dates(day))
        elif not past_dates and due < today:
            faults.append(Fault(day, "date_in_past", about="installments"))
        elif due <= before:
            faults.append(Fault(day, "dates_not_rising"))
        before = due
    in_all = sum(amount for _, amount in rows)
    if not faults and 0 < new.total <= money.MAX_MINOR and in_all != new.total:
        total = Money(new.total, currency)
        faults.append(Fault("installments", "wrong_sum", sum=Money(in_all, currency), total=total))
    return faults


def _bad_dates(field: str) -> Fault:
    return Fault(field, "bad_dates", first=schedule.FIRST_DATE.year, last=schedule.LAST_DATE.year)


def _of_external_id(merchant_id: int, external_id: str | None) -> Plan | None:
    """The merchant's plan with this external id. Locks the id until the transaction ends, for an insert."""
    if external_id is None:
        return None
    plan_lock.lock_external_id("plan", merchant_id, external_id)
    return db.session.scalar(Plan.of_merchant(merchant_id).where(Plan.external_id == external_id))


def _is_same(plan: Plan, customer_id: int, new: NewPlan) -> bool:
    description = typed_text.read(new.description)
    interval = new.interval if new.rows is None else "custom"
    if (customer_id, description, new.notes) != (plan.customer_id, plan.description, plan.notes):
        return False
    if plan.interval not in (interval, "custom"):
        return False
    made = select(Installment.due_date, Installment.amount).where(
        Installment.plan_id == plan.id, Installment.added_at.is_(None)
    )
    rows = db.session.execute(made.order_by(Installment.id)).all()
    if new.deposit != plan.deposit and new.rows is None:
        return False
    try:
        expected = schedule_of(replace(new, deposit_on=rows[0].due_date), plan.today)
    except ValueError:  # a first date that no plan has
        return False
    return [(row.due_date, row.amount) for row in expected] == [tuple(row) for row in rows]


def installments_of(plan: Plan, rows: list[Row]) -> list[Installment]:
    """New installments of the plan, as this schedule says."""
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
