"""Manual reminders: a merchant reminds the customer of a plan now."""

from typing import Any

from sqlalchemy import select

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.extensions import db
from portal.models import Email, Merchant, Mute
from portal.services import emails, mail_limits
from portal.services.plans import agreement, plan_lock
from portal.services.reminders import remindable
from portal.services.reminders.reminders import KIND
from portal.services.unit_of_work import after_commit, unit_of_work


@unit_of_work
def send_now(plan_id: int, *, actor: Actor) -> None:
    """Remind the customer of this plan now: of its due installments, otherwise of the next one.

    The mail is the day's mail (merchant's local date) for this customer and merchant, so there is at most one a day,
    manual or scheduled.
    Refuses: forbidden; own_plan; not_found; nothing_due (nothing is owed any more); not_accepted; disputed; muted;
    payment_in_flight; already_sent_today; shop_reported (the mailbox does not know the business); mail_limit (the
    mailbox got enough mails for a day).
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
    day = clock.today(merchant.time_zone).isoformat()
    key = f"reminder:{plan.customer_id}:{merchant_id}:{day}"
    data = {"day": day, "plan_id": plan_id, "by": actor.user_id}
    posted = emails.post(
        KIND, to_user_id=plan.customer_id, merchant_id=merchant_id, plan_id=plan_id, dedupe_key=key, data=data
    )
    if not posted and not _revive(key, data):
        raise Refused("already_sent_today")


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
