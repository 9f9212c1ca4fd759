"""Who may see what: "mine or 404" look-ups for both doors. Someone else's object answers like one that is not there."""

import ipaddress
from typing import TypeVar

from flask import request
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import joinedload

from portal.domain import identifiers
from portal.errors import Forbidden, NotFound
from portal.extensions import db
from portal.models import Installment, Payment, Plan, Refund, User

T = TypeVar("T", Plan, Installment, Payment, Refund)

MAX_ID = identifiers.MAX_ID


def require(user: User, *roles: str) -> None:
    """Raises Forbidden unless the user has one of these roles."""
    if user.role not in roles:
        raise Forbidden()


def my_plan(user: User, plan_id: int) -> Plan:
    """The plan with its parties, if this user made it or owes it. Raises NotFound."""
    found = select(Plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    return _mine(found.where(Plan.id == plan_id, _party(user, Plan)), plan_id)


def my_installment(user: User, installment_id: int) -> Installment:
    """The installment with its plan, if this user made the plan or owes it. Raises NotFound."""
    found = select(Installment).options(joinedload(Installment.plan))
    return _mine(found.where(Installment.id == installment_id, _party(user, Installment)), installment_id)


def my_payment(user: User, payment_id: int) -> Payment:
    """The payment, if it pays a plan that this user made or owes. Raises NotFound."""
    return _mine(select(Payment).where(Payment.id == payment_id, _party(user, Payment)), payment_id)


def my_refund(user: User, refund_id: int) -> Refund:
    """The refund, if it gives back on a plan that this user made or owes. Raises NotFound."""
    return _mine(select(Refund).where(Refund.id == refund_id, _party(user, Refund)), refund_id)


def my_customer(user: User, customer_id: int) -> User:
    """Somebody with a plan of this merchant's. Raises NotFound."""
    plans = select(Plan.id).where(Plan.merchant_id == user.id, Plan.customer_id == User.id)
    found = select(User).where(User.id == customer_id, plans.exists())
    customer: User | None = db.session.scalar(found) if 0 < customer_id <= MAX_ID else None
    if customer is None:
        raise NotFound()
    return customer


def address() -> str:
    """Who asks, by address. An IPv6 network (/64) counts as one: a single home has 2**64 addresses."""
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)


def account(login: str) -> str:
    """Whose password is tried: one account, whether its username or its email was typed; else what was typed."""
    user = db.session.scalar(User.by_login(login)) if login.strip() else None
    return (
        f"user:{user.id}"
        if user is not None
        else f"name:{identifiers.username_key(login[: identifiers.LONGEST])[:254]}"
    )


def _party(user: User, table: type[Plan] | type[Installment] | type[Payment] | type[Refund]) -> ColumnElement[bool]:
    return or_(table.merchant_id == user.id, table.customer_id == user.id)


def _mine(found: Select[T], row_id: int) -> T:
    row = db.session.scalar(found) if 0 < row_id <= MAX_ID else None
    if row is None:
        raise NotFound()
    return row
