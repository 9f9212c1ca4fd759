"""Drafts: what a business that waits for approval saves in place of plans, and the plans of an import.

`open_all` makes plans of them: of imported ones once they are sent (services/imports/sending.py).
"""

import random
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final

import structlog
from sqlalchemy import ColumnElement, Select, func, or_, select, update

from portal import queue
from portal.domain import clock, identifiers, typed_text
from portal.domain.permissions import Actor
from portal.domain.schedule import PlanInterval, Row
from portal.errors import Forbidden, Invalid, NotFound, QistError, Refused
from portal.extensions import db
from portal.models import Merchant, PlanDraft, User
from portal.services import mail_limits
from portal.services.accounts import accounts
from portal.services.idempotency import RequestKey
from portal.services.plans import plan_lock, plans
from portal.services.plans.plans import NewPlan
from portal.services.results import Result
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

log = structlog.get_logger(__name__)

LIMIT: Final = 100
"""Drafts that one business typed."""
OF_A_DAY: Final = ("plan_limit", "mail_limit")
"""The faults of drafts that wait for the next day."""
RETRY_AFTER: Final = timedelta(hours=1)
"""The pause before a draft that could not become a plan is tried again."""
BATCH: Final = 500
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining drafts to the next run."""
MAX_STEP_SECONDS: Final = 3 * MAX_SECONDS
"""Upper bound for one draft: open it, keep its fault, and let the rest of the business wait."""


@dataclass(frozen=True, slots=True)
class DraftFacts:
    """A draft with the schedule that its plan will have, in minor units of `currency`.

    `fault` is the code of the refusal with which it could not become a plan at the instant `tried_at`.
    """

    id: int
    customer_email: str
    description: str
    total: int
    currency: str
    interval: PlanInterval
    start_date: date
    deposit: int | None
    rows: tuple[Row, ...]
    external_id: str | None
    notes: dict[str, Any]
    created_at: datetime
    tried_at: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class PlanDraftSaved(Result):
    """The plan is kept as a draft until an operator approves the business."""

    version: ClassVar[int] = 2

    draft: DraftFacts


@dataclass(frozen=True, slots=True)
class PlanDraftFound(Result):
    """An equal draft with this external id existed before. Nothing was saved."""

    draft: DraftFacts


@unit_of_work
def save(
    actor: Actor, new: NewPlan, *, past_dates: bool = False, request_key: RequestKey | None = None
) -> PlanDraftSaved | PlanDraftFound:
    """Keep a plan as a draft. Nothing reaches its customer, and no account is made. `past_dates` as plans.open_plan.

    Refuses: forbidden; merchant_live (the business makes plans); too_many_drafts (LIMIT); external_id_used (by another
    draft); Invalid, with all faults at once, as plans.open_plan; idempotency_key_reused; still_running; busy.
    """
    merchant_id = actor.business("create_plans")
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True)
    if merchant.standing != "draft":
        raise Refused("merchant_live")
    faults = accounts.email_faults(new.customer_email, "customer_email")
    faults += plans.plan_faults(new, clock.today(merchant.time_zone), merchant.home_currency, past_dates=past_dates)
    if any(fault.code not in plans.OF_TODAY for fault in faults):
        raise Invalid(*faults)
    external_id = None if new.external_id is None else typed_text.read(new.external_id)
    former = _of_external_id(merchant_id, external_id)
    if former is not None and _is_same(former, new):
        return PlanDraftFound(facts_of(former, merchant))
    if faults:
        raise Invalid(*faults)
    if former is not None:
        raise Refused("external_id_used", about="draft")
    count = PlanDraft.of_merchant(merchant_id).with_only_columns(func.count()).order_by(None)
    if (db.session.scalar(count) or 0) >= LIMIT:
        raise Refused("too_many_drafts", limit=LIMIT)
    draft = PlanDraft(
        merchant_id=merchant_id,
        created_by=actor.user_id,
        customer_email=accounts.read_email(new.customer_email, "customer_email"),
        description=typed_text.read(new.description),
        total=new.total,
        currency=merchant.home_currency,
        num_installments=new.num_installments,
        interval=new.interval if new.rows is None else "custom",
        start_date=new.start_date,
        deposit=new.deposit if new.rows is None else None,
        schedule=None if new.rows is None else [[due.isoformat(), amount] for due, amount in new.rows],
        created_at=clock.now(),
        external_id=external_id,
        notes=new.notes,
    )
    db.session.add(draft)
    db.session.flush()
    return PlanDraftSaved(facts_of(draft, merchant))


def facts_of(draft: PlanDraft, merchant: Merchant) -> DraftFacts:
    """The facts of a draft of this business."""
    rows = plans.schedule_of(_plan_of(draft, merchant), clock.today(merchant.time_zone))
    return DraftFacts(
        id=draft.id,
        customer_email=draft.customer_email,
        description=draft.description,
        total=draft.total,
        currency=draft.currency,
        interval=draft.interval,
        start_date=draft.start_date if draft.schedule is None else rows[0].due_date,
        deposit=draft.deposit,
        rows=tuple(rows),
        external_id=draft.external_id,
        notes=draft.notes,
        created_at=draft.created_at,
        tried_at=draft.tried_at,
        fault=draft.fault,
    )


def _of_external_id(merchant_id: int, external_id: str | None) -> PlanDraft | None:
    """The business's draft with this external id, also of an import. Locks the id until the transaction ends."""
    if external_id is None:
        return None
    plan_lock.lock_external_id("plan", merchant_id, external_id)
    mine = select(PlanDraft).where(PlanDraft.merchant_id == merchant_id, PlanDraft.external_id == external_id)
    return db.session.scalar(mine)


def _is_same(draft: PlanDraft, new: NewPlan) -> bool:
    """The draft was typed, with these terms."""
    email = accounts.read_email(new.customer_email, "customer_email")
    if draft.import_id is not None or identifiers.email_key(email) != identifiers.email_key(draft.customer_email):
        return False
    typed = (new.total, typed_text.read(new.description), new.notes, new.rows)
    if typed != (draft.total, draft.description, draft.notes, _rows(draft)):
        return False
    terms = (new.num_installments, new.interval, new.start_date, new.deposit)
    kept = (draft.num_installments, draft.interval, draft.start_date, draft.deposit)
    return new.rows is not None or terms == kept


@unit_of_work
def discard(draft_id: int, *, actor: Actor) -> None:
    """Delete a draft that was typed. Refuses: forbidden; not_found (also a draft of an import); busy."""
    merchant_id = actor.business("create_plans")
    typed = PlanDraft.of_merchant(merchant_id).where(PlanDraft.id == draft_id)
    draft = db.session.scalar(typed.with_for_update())
    if draft is None:
        raise NotFound()
    db.session.delete(draft)


def enqueue_open() -> None:
    """After a commit that made drafts ready: let the job begin sooner."""
    queue.enqueue("open_drafts")


def open_all() -> int:
    """Make plans of the drafts of approved businesses, with the schedules that they had; of imported ones, if sent.

    The businesses follow one another from a random one, and the drafts of a business in their order. A draft that can't
    become a plan keeps the code of the refusal, and is tried again after RETRY_AFTER. Once a business has invited as
    many customers as it may in a day, the drafts of people without an account wait together. Two runs at once are
    safe, and so is a kill at any point. Returns the number of drafts looked at.
    """
    stop = time.monotonic() + BUDGET
    businesses = select(PlanDraft.merchant_id).join(Merchant, Merchant.id == PlanDraft.merchant_id).distinct()
    ids = list(db.session.scalars(businesses.where(PlanDraft.is_ready(), _is_untried()).limit(BATCH)))
    random.shuffle(ids)
    looked_at = 0
    for merchant_id in ids:
        if time.monotonic() > stop:
            break
        looked_at += _open_of(merchant_id, stop)
    return looked_at


def _open_of(merchant_id: int, stop: float) -> int:
    """Open the ready drafts of one business, at most BATCH, until the instant `stop` (monotonic seconds)."""
    ready = PlanDraft.merchant_id == merchant_id, PlanDraft.is_ready(), _is_untried()
    query = select(PlanDraft.id, PlanDraft.customer_email).join(Merchant, Merchant.id == PlanDraft.merchant_id)
    rows = db.session.execute(query.where(*ready).order_by(PlanDraft.id).limit(BATCH)).all()
    keys = {row.id: identifiers.stored_email_key(row.customer_email) for row in rows}
    has_account = User.email_proven_at.is_not(None), User.password_hash.is_not(None)
    with_account = select(User.email_key).where(User.email_key.in_(set(keys.values())), *has_account)
    known = set(db.session.scalars(with_account))
    left, waiting, looked_at = mail_limits.invitations_left(merchant_id), [], 0
    for draft_id, key in keys.items():
        if time.monotonic() > stop:
            break
        looked_at += 1
        if key not in known and left <= 0:
            waiting.append(draft_id)
            continue
        try:
            opened = open_draft(draft_id)
        except Exception:
            log.exception("draft.not_opened", draft_id=draft_id)
            continue
        if key not in known:
            left = 0 if opened == "plan_limit" else left - (opened == "")
    if waiting:
        _wait(waiting)
    return looked_at


def due_query(_now: datetime) -> Select[int]:
    """The drafts that may become plans now."""
    query = select(PlanDraft.id).join(Merchant, Merchant.id == PlanDraft.merchant_id)
    return query.where(PlanDraft.is_ready(), _is_untried())


def _is_untried() -> ColumnElement[bool]:
    return or_(PlanDraft.tried_at.is_(None), PlanDraft.tried_at < clock.now() - RETRY_AFTER)


@unit_of_work
def _wait(draft_ids: list[int]) -> None:
    """The business has invited as many as it may in a day. These drafts are tried again after RETRY_AFTER."""
    waits = update(PlanDraft).where(PlanDraft.id.in_(draft_ids))
    db.session.execute(waits.values(tried_at=clock.now(), fault="plan_limit"))


def open_draft(draft_id: int) -> str:
    """Make a plan of a draft and delete the draft, in one commit. A draft that is gone changes nothing.

    Returns the code of the refusal that the draft keeps, or "".
    """
    try:
        _open(draft_id)
    except (Invalid, Refused, Forbidden) as refused:
        _keep_fault(draft_id, refused)
        return refused.code
    return ""


@unit_of_work
def _open(draft_id: int) -> None:
    draft = db.session.get(PlanDraft, draft_id, with_for_update=True, populate_existing=True)
    if draft is None or (draft.import_id is not None and draft.sent_at is None):
        return
    merchant = db.session.get_one(Merchant, draft.merchant_id)
    if merchant.home_currency != draft.currency:
        raise Refused("currency_changed")
    new = _plan_of(draft, merchant)
    maker = Actor(draft.created_by, draft.merchant_id, frozenset({"create_plans"}))
    db.session.delete(draft)
    plans.open_inside(maker, new, past_dates=True, import_id=draft.import_id)


def _plan_of(draft: PlanDraft, merchant: Merchant) -> NewPlan:
    """The plan that the draft becomes."""
    return NewPlan(
        customer_email=draft.customer_email,
        total=draft.total,
        num_installments=draft.num_installments,
        start_date=draft.start_date,
        interval=draft.interval,
        description=draft.description,
        deposit=draft.deposit,
        deposit_on=clock.local_date(draft.created_at, merchant.time_zone),
        external_id=draft.external_id,
        rows=_rows(draft),
        notes=draft.notes,
    )


def _rows(draft: PlanDraft) -> tuple[tuple[date, int], ...] | None:
    """The own dates and amounts of the draft."""
    if draft.schedule is None:
        return None
    return tuple((date.fromisoformat(due), amount) for due, amount in draft.schedule)


@unit_of_work
def _keep_fault(draft_id: int, error: QistError) -> None:
    draft = db.session.get(PlanDraft, draft_id, with_for_update=True, populate_existing=True)
    if draft is not None:
        draft.tried_at, draft.fault = clock.now(), error.code
        log.info("draft.refused", draft_id=draft_id, code=error.code)
