"""The operators of an installation, and the mails that tell them of acts and of businesses that wait for approval.

Called inside a unit of work; never commits.
"""

from flask import current_app
from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.models import Membership, Merchant, OperatorAct, Refund, User
from portal.models.accounts.operator_acts import ActKind
from portal.services import emails


def operator_ids() -> list[int]:
    """The ids of the operators who are not deactivated."""
    query = select(User.id).where(User.registered_as == "operator", User.deactivated_at.is_(None))
    return list(db.session.scalars(query.order_by(User.id)))


def approves_at_once(*, is_demo: bool) -> bool:
    """Whether a new business needs no operator's approval: MERCHANT_REGISTRATION=open, or demo data."""
    return is_demo or current_app.config["QIST"].merchant_registration == "open"


def takes_merchants() -> bool:
    """Whether new businesses may register: MERCHANT_REGISTRATION is not closed."""
    return bool(current_app.config["QIST"].merchant_registration != "closed")


def write_act(
    kind: ActKind,
    *,
    by: int | None,
    merchant: Merchant | None = None,
    user: User | None = None,
    refund: Refund | None = None,
    reason: str = "",
    detail: str | None = None,
) -> int:
    """Write an act of an operator, or of a business that operators look at. Returns its id."""
    act = OperatorAct(
        kind=kind,
        actor_id=by,
        merchant_id=merchant.id if merchant is not None else None,
        user_id=user.id if user is not None else None,
        refund_id=refund.id if refund is not None else None,
        reason=reason or None,
        detail=detail,
        created_at=clock.now(),
    )
    db.session.add(act)
    db.session.flush()
    return act.id


def reads_like_another(merchant: Merchant) -> bool:
    """Whether the name of this business reads like that of another (domain/lookalikes.py)."""
    alike = Merchant.name_skeleton == merchant.name_skeleton, Merchant.name_skeleton != "", Merchant.id != merchant.id
    return db.session.scalar(select(Merchant.id).where(*alike).limit(1)) is not None


def tell_of_act(act_id: int) -> None:
    """Mail an act to every operator who is not deactivated."""
    for operator_id in operator_ids():
        emails.post(
            "operator_act",
            to_user_id=operator_id,
            dedupe_key=f"operator_act:{act_id}:{operator_id}",
            data={"act_id": act_id},
        )


def tell_of_waiting(owner_id: int) -> None:
    """Inside a unit of work: mail every operator that businesses wait, at most once a day (UTC).

    Nothing to tell unless a business of this owner waits. Called when its email is proven, as no business is approved
    before.
    """
    mine = Membership.user_id == owner_id, Membership.role == "owner"
    waits = Merchant.approved_at.is_(None), Merchant.declined_at.is_(None)
    query = select(Merchant.id).join(Membership, Membership.merchant_id == Merchant.id).where(*mine, *waits).limit(1)
    if db.session.scalar(query) is None:
        return
    for operator_id in operator_ids():
        emails.post(
            "merchants_waiting",
            to_user_id=operator_id,
            dedupe_key=f"merchants_waiting:{clock.now():%Y%m%d}:{operator_id}",
        )
