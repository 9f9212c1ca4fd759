"""Record an act of an operator, and tell all operators. Called inside a unit of work; never commits."""

from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Fault, Refused
from portal.extensions import db
from portal.models import Membership, Merchant, OperatorAct, Refund, User
from portal.models.accounts.operator_acts import ActKind
from portal.services import emails
from portal.services.accounts import operators
from portal.services.text_faults import read_text

MAX_OBJECTIONS: Final = 5
"""Objections of one business in 24 hours."""


def require(operator: Actor | None, *, merchant_id: int | None = None) -> int | None:
    """The operator's id; None for the command line. Refuses: forbidden; own_business (a member of this business)."""
    if operator is None:
        return None
    operator.require("operate")
    if merchant_id is not None and db.session.get(Membership, (operator.user_id, merchant_id)) is not None:
        raise Refused("own_business")
    return operator.user_id


def reason_of(text: str) -> str:
    """The reason as it is stored. Refuses: Invalid on reason (missing, or as text_faults)."""
    return read_text("reason", text, if_empty=Fault("reason", "required"))


def record(
    kind: ActKind,
    *,
    by: int | None,
    merchant: Merchant | None = None,
    user: User | None = None,
    refund: Refund | None = None,
    reason: str = "",
) -> int:
    """Write the act, and mail it to every operator who is not deactivated. Returns its id.

    `by` is the id of the operator, or of the owner who objects; None for the command line.
    """
    act = OperatorAct(
        kind=kind,
        actor_id=by,
        merchant_id=merchant.id if merchant is not None else None,
        user_id=user.id if user is not None else None,
        refund_id=refund.id if refund is not None else None,
        reason=reason or None,
        created_at=clock.now(),
    )
    db.session.add(act)
    db.session.flush()
    for operator_id in operators.operator_ids():
        emails.post(
            "operator_act",
            to_user_id=operator_id,
            dedupe_key=f"operator_act:{act.id}:{operator_id}",
            data={"act_id": act.id},
        )
    return act.id


def tell_owners(kind: str, merchant: Merchant, act_id: int) -> None:
    """Mail the owners of a business about an act on it, in the name of the installation."""
    for owner_id in owner_ids(merchant.id):
        emails.post(kind, to_user_id=owner_id, dedupe_key=f"{kind}:{act_id}:{owner_id}", data={"act_id": act_id})


def owner_ids(merchant_id: int) -> list[int]:
    """The ids of the owners of a business."""
    query = select(Membership.user_id).where(Membership.merchant_id == merchant_id, Membership.role == "owner")
    return list(db.session.scalars(query.order_by(Membership.user_id)))


def has_proven_owner(merchant_id: int) -> bool:
    """Whether an owner of the business has proven their email."""
    query = select(User.id).join(Membership, Membership.user_id == User.id)
    mine = Membership.merchant_id == merchant_id, Membership.role == "owner"
    return db.session.scalar(query.where(*mine, User.email_proven_at.is_not(None)).limit(1)) is not None


def objections_today(merchant_id: int) -> int:
    """The objections of a business in the last 24 hours."""
    query = select(func.count()).select_from(OperatorAct)
    recent = OperatorAct.created_at > clock.now() - timedelta(days=1)
    conditions = OperatorAct.merchant_id == merchant_id, OperatorAct.kind == "merchant_objected", recent
    return db.session.scalar(query.where(*conditions)) or 0
