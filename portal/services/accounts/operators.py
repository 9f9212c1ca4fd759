"""The operators of an installation, and the mail that tells them of businesses that wait for approval."""

from flask import current_app
from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.models import Membership, Merchant, User
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
