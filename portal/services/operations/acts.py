"""Record an act of an operator, and tell all operators. Called inside a unit of work, except for acts on jobs."""

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
from portal.services.accounts import api_keys, operators
from portal.services.text_faults import read_text
from portal.services.unit_of_work import unit_of_work

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
    detail: str | None = None,
) -> int:
    """Write the act, and mail it to every operator who is not deactivated. Returns its id.

    `by` is the id of the operator, or of the owner who objects; None for the command line. `detail` as in OperatorAct.
    """
    act_id = operators.write_act(kind, by=by, merchant=merchant, user=user, refund=refund, reason=reason, detail=detail)
    operators.tell_of_act(act_id)
    return act_id


@unit_of_work
def record_job(kind: ActKind, *, actor: Actor, detail: str | None = None) -> None:
    """Record what an operator did to a failed job, or to all of them. Refuses: forbidden; busy."""
    record(kind, by=require(actor), detail=detail)


def tell_owners(kind: str, merchant: Merchant, act_id: int) -> None:
    """Mail the owners of a business about an act on it, in the name of the installation."""
    for owner_id in api_keys.owner_ids(merchant.id):
        emails.post(kind, to_user_id=owner_id, dedupe_key=f"{kind}:{act_id}:{owner_id}", data={"act_id": act_id})


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
