"""Manual reminders: a merchant reminds the customer of a plan now, or several customers of all that they owe."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import select, update

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.extensions import db
from portal.models import Allocation, Email, Installment, Merchant, Mute, Plan, User
from portal.services import emails, mail_limits
from portal.services.accounts import hats
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, plan_lock
from portal.services.reminders import remindable
from portal.services.reminders.reminders import KIND
from portal.services.results import Result
from portal.services.unit_of_work import after_commit, unit_of_work

LIMIT: Final = 50
"""Customers that one call reminds."""


@dataclass(frozen=True, slots=True)
class Reminded:
    """Numbers of customers: `queued` get a mail now, `already` have today's mail, `left_out` get none.

    Left out are customers who owe nothing that may be chased (also muted, disputed, not accepted or in flight), whose
    mailbox got enough mails for a day, who reported the business, whose account is deactivated, the member themself,
    and those beyond LIMIT.
    """

    queued: int
    already: int
    left_out: int


@unit_of_work
def send_to(customer_ids: Collection[int], *, actor: Actor) -> Reminded:
    """Remind these customers now, each by the day's mail, of all that is due, otherwise of the next installment.

    The number of statements does not grow with the customers. Refuses: forbidden.
    """
    merchant_id = actor.business("remind")
    hats.confirm(actor, "remind")
    chosen = list(dict.fromkeys(customer_ids))
    candidates = [customer_id for customer_id in chosen[:LIMIT] if not actor.owes(customer_id)]
    keys = _keys(candidates, merchant_id)
    states = select(Email.to_user_id).where(Email.dedupe_key.in_(keys.values()), Email.state != "dropped")
    already = set(db.session.scalars(states))
    open_to_mail = _remindable(candidates, merchant_id) - already
    open_to_mail -= mail_limits.full_mailboxes(merchant_id, list(open_to_mail))
    day = clock.today(db.session.get_one(Merchant, merchant_id).time_zone).isoformat()
    data = {"day": day, "by": actor.user_id}
    wanted = {customer_id: keys[customer_id] for customer_id in open_to_mail}
    posted = emails.post_all(KIND, wanted, merchant_id=merchant_id, data=data)
    posted |= _revive_all([key for customer_id, key in wanted.items() if customer_id not in posted], data)
    already |= open_to_mail - posted
    return Reminded(len(posted), len(already), len(chosen) - len(posted) - len(already))


def _keys(customer_ids: Iterable[int], merchant_id: int) -> dict[int, str]:
    """The key of today's mail to each customer."""
    day = clock.today(db.session.get_one(Merchant, merchant_id).time_zone).isoformat()
    return {customer_id: day_key(customer_id, merchant_id, day) for customer_id in customer_ids}


def day_key(customer_id: int, merchant_id: int, day: str) -> str:
    """The dedupe key of the mail of a day (ISO, the merchant's local date) to this customer."""
    return f"{KIND}:{customer_id}:{merchant_id}:{day}"


def _remindable(customer_ids: Collection[int], merchant_id: int) -> set[int]:
    """The customers of whom `remindable.of_customer` has an installment, and who may get mails."""
    muted = select(Mute.customer_id).where(Mute.merchant_id == merchant_id, Mute.customer_id == Installment.customer_id)
    held = select(Allocation.id).where(Allocation.installment_id == Installment.id, Allocation.state == "held")
    query = (
        select(Installment.customer_id)
        .distinct()
        .join(Plan, Plan.id == Installment.plan_id)
        .join(User, User.id == Installment.customer_id)
        .where(Installment.merchant_id == merchant_id, Installment.customer_id.in_(customer_ids))
        .where(Installment.chased(), Plan.muted_at.is_(None), Plan.reported_at.is_(None))
        .where(User.deactivated_at.is_(None), ~muted.exists(), ~held.exists())
    )
    return set(db.session.scalars(query))


def _revive_all(keys: Collection[str], data: dict[str, Any]) -> set[int]:
    """Put the dropped mails of these keys back into the queue. Returns their customers."""
    if not keys:
        return set()
    mails = update(Email).where(Email.dedupe_key.in_(keys), Email.state == "dropped").returning(Email.to_user_id)
    waiting = {"state": "waiting", "attempts": 0, "next_try_at": clock.now(), "ended_at": None, "last_error": None}
    revived = set(
        db.session.scalars(
            mails.values(**waiting, error_detail=None, data=data), execution_options={"synchronize_session": False}
        )
    )
    if revived:
        after_commit(emails.enqueue_drain)
    return {customer_id for customer_id in revived if customer_id is not None}


@dataclass(frozen=True, slots=True)
class ReminderQueued(Result):
    """The mail of the day (merchant's local date) to the customer of a plan is queued."""

    plan_id: int
    customer_id: int
    day: date


@unit_of_work
def send_now(plan_id: int, *, actor: Actor, request_key: RequestKey | None = None) -> ReminderQueued:
    """Remind the customer of this plan now: of its due installments, otherwise of the next one.

    The mail is the day's mail (merchant's local date) for this customer and merchant, so there is at most one a day,
    manual or scheduled.
    Refuses: forbidden; own_plan; not_found; nothing_due (nothing is owed any more); not_accepted; disputed; muted;
    payment_in_flight; already_sent_today; shop_reported (the mailbox does not know the business); mail_limit (the
    mailbox got enough mails for a day); idempotency_key_reused; still_running.
    """
    plan = plan_lock.lock(plan_id, actor, "remind")
    merchant_id = plan.merchant_id
    if plan.state != "active":
        raise Refused("nothing_due", about="reminder")
    agreement.refuse_unsettled(plan)
    if plan.muted_at is not None or db.session.get(Mute, (merchant_id, plan.customer_id)) is not None:
        raise Refused("muted")
    if plan.reported_at is not None:
        raise Refused("shop_reported", about="reminder")
    rows = [row for row in remindable.of_customer(plan.customer_id, merchant_id) if row.plan_id == plan_id]
    if not rows:
        raise Refused("payment_in_flight", about="reminder")
    mail_limits.check_mail(merchant_id, plan.customer_id)
    merchant = db.session.get_one(Merchant, merchant_id)
    day = clock.today(merchant.time_zone)
    key = day_key(plan.customer_id, merchant_id, day.isoformat())
    data = {"day": day.isoformat(), "plan_id": plan_id, "by": actor.user_id}
    posted = emails.post_new(
        KIND, to_user_id=plan.customer_id, merchant_id=merchant_id, plan_id=plan_id, dedupe_key=key, data=data
    )
    if not posted and not _revive(key, data):
        raise Refused("already_sent_today")
    return ReminderQueued(plan_id, plan.customer_id, day)


def _revive(key: str, data: dict[str, Any]) -> bool:
    """Put the day's mail back into the queue if it was dropped, and return whether it was."""
    mail = db.session.scalar(select(Email).where(Email.dedupe_key == key, Email.state == "dropped").with_for_update())
    if mail is None:
        return False
    mail.state, mail.attempts, mail.next_try_at = "waiting", 0, clock.now()
    mail.ended_at, mail.last_error, mail.error_detail = None, None, None
    mail.data = data
    after_commit(emails.enqueue_drain)
    return True
