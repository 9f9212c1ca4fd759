"""Mails about accounts: invitations and password resets."""

from typing import Final

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Email, Invitation
from portal.services.accounts import password_resets
from portal.services.mail.facts import Facts, NoLongerTrue, link, plan_of, progress, purchase, sender
from portal.services.plans import invitations
from portal.wording import dates, labels

SCHEDULE_ROWS: Final = 6
"""Installments that an invitation lists."""


def invitation(row: Email) -> Facts:
    """The invitation to a plan, with the link that exists, or a new one when its token can't be derived any more."""
    target = db.session.get_one(Invitation, row.data["invitation_id"], populate_existing=True)
    token = invitations.token_of(target)
    if token is None and db.session.scalar(Invitation.live(target.token_hash, clock.now())) is not None:
        reissued = invitations.reissue(row.to_user_id, plan_id=target.plan_id)
        token = reissued[1] if reissued is not None else None
    if token is None:
        raise NoLongerTrue("link_ended")
    return _invited(row, target.plan_id, token, again=False)


def invitation_again(row: Email) -> Facts:
    """The same invitation, requested by the customer again."""
    reissued = invitations.reissue(row.to_user_id)
    if reissued is None:
        raise NoLongerTrue("no_plan")
    return _invited(row, *reissued, again=True)


def password_reset(row: Email) -> Facts:
    """The link that sets a new password."""
    if row.created_at < clock.now() - password_resets.MAX_REQUEST_AGE:
        raise NoLongerTrue("too_old")
    token = password_resets.make(row.to_user_id)
    if token is None:
        raise NoLongerTrue("no_password")
    return {"url": link(f"/password-resets/{token}"), "secret": (token,)}


def _invited(row: Email, plan_id: int, token: str, *, again: bool) -> Facts:
    plan, rows = plan_of(plan_id)
    live = invitations.find(token)
    if live is None:
        raise NoLongerTrue("link_ended")
    count = plan.num_installments
    return progress(rows) | {
        "merchant": plan.merchant.business_name,
        "reply_to": sender(plan.merchant_id)[1],
        "purchase": purchase(plan),
        "total": money.show(plan.total, plan.currency),
        "installments": count,
        "interval": labels.interval(plan.interval),
        "schedule": [
            (dates.long_day(installment.due_date), money.show(installment.amount, plan.currency))
            for installment in rows[:SCHEDULE_ROWS]
        ],
        "more": max(0, count - SCHEDULE_ROWS),
        "expires": dates.long_day(clock.local_date(live.expires_at, plan.time_zone)),
        "url": link(f"/invitations/{token}"),
        "again": again,
        "secret": (token,),
    }
