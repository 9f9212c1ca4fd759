"""Drafts: what a business that waits for approval saves in place of plans. `open_all` makes plans of them."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import structlog
from sqlalchemy import func, or_, select

from portal.domain import clock, typed_text
from portal.domain.permissions import Actor
from portal.errors import Invalid, NotFound, QistError, Refused
from portal.extensions import db
from portal.models import Merchant, PlanDraft
from portal.services import sweeps
from portal.services.accounts import accounts
from portal.services.idempotency import RequestKey
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.services.results import Result
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

log = structlog.get_logger(__name__)

LIMIT: Final = 100
"""Drafts of one business."""
RETRY_AFTER: Final = timedelta(hours=1)
"""The pause before a draft that could not become a plan is tried again."""
BATCH: Final = 500
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining drafts to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS


@dataclass(frozen=True, slots=True)
class PlanDraftSaved(Result):
    """The plan is kept as a draft until an operator approves the business."""

    draft_id: int


@unit_of_work
def save(actor: Actor, new: NewPlan, *, request_key: RequestKey | None = None) -> PlanDraftSaved:
    """Keep a plan as a draft. Nothing reaches its customer, and no account is made.

    Refuses: forbidden; merchant_live (the business makes plans); too_many_drafts (LIMIT); Invalid, with all faults at
    once, as plans.open_plan; idempotency_key_reused; still_running; busy.
    """
    merchant_id = actor.business("create_plans")
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True)
    if merchant.standing != "draft":
        raise Refused("merchant_live")
    faults = accounts.email_faults(new.customer_email, "customer_email")
    faults += plans.plan_faults(new, clock.today(merchant.time_zone), merchant.home_currency)
    if faults:
        raise Invalid(*faults)
    count = select(func.count()).select_from(PlanDraft).where(PlanDraft.merchant_id == merchant_id)
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
    )
    db.session.add(draft)
    db.session.flush()
    return PlanDraftSaved(draft.id)


@unit_of_work
def discard(draft_id: int, *, actor: Actor) -> None:
    """Delete a draft. Refuses: forbidden; not_found; busy."""
    merchant_id = actor.business("create_plans")
    query = select(PlanDraft).where(PlanDraft.id == draft_id, PlanDraft.merchant_id == merchant_id)
    draft = db.session.scalar(query.with_for_update())
    if draft is None:
        raise NotFound()
    db.session.delete(draft)


def open_all() -> int:
    """Make plans of the drafts of approved businesses, with the schedules that they had.

    A draft that can't become a plan keeps the code of the refusal, and is tried again after RETRY_AFTER. Two runs at
    once are safe, and so is a kill at any point. Returns the number of drafts looked at.
    """
    ready = Merchant.approved_at.is_not(None), Merchant.deactivated_at.is_(None), Merchant.closing_at.is_(None)
    untried = or_(PlanDraft.tried_at.is_(None), PlanDraft.tried_at < clock.now() - RETRY_AFTER)
    query = select(PlanDraft.id).join(Merchant, Merchant.id == PlanDraft.merchant_id).where(*ready, untried)
    ids = list(db.session.scalars(query.order_by(PlanDraft.id).limit(BATCH)))
    return sweeps.sweep(ids, open_draft, budget=BUDGET, event="draft.not_opened", field="draft_id")


def open_draft(draft_id: int) -> None:
    """Make a plan of a draft and delete the draft, in one commit. A draft that is gone changes nothing."""
    try:
        _open(draft_id)
    except (Invalid, Refused) as refused:
        _keep_fault(draft_id, refused)


@unit_of_work
def _open(draft_id: int) -> None:
    draft = db.session.get(PlanDraft, draft_id, with_for_update=True, populate_existing=True)
    if draft is None:
        return
    merchant = db.session.get_one(Merchant, draft.merchant_id)
    if merchant.home_currency != draft.currency:
        raise Refused("currency_changed")
    new = NewPlan(
        customer_email=draft.customer_email,
        total=draft.total,
        num_installments=draft.num_installments,
        start_date=draft.start_date,
        interval=draft.interval,
        description=draft.description,
        deposit=draft.deposit,
        deposit_on=clock.local_date(draft.created_at, merchant.time_zone),
        rows=_rows(draft),
    )
    maker = Actor(draft.created_by, draft.merchant_id, frozenset({"create_plans"}))
    db.session.delete(draft)
    plans.open_inside(maker, new, past_dates=True)


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
