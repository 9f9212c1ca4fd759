"""Look-ups that return an object of the signed-in user or raise NotFound; pages and API share them.

An object of another user and an object that does not exist give the same response.
"""

import ipaddress
from typing import TypeVar

from flask import request
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import joinedload

from portal.domain import identifiers
from portal.domain.identifiers import MAX_ID
from portal.errors import Forbidden, NotFound
from portal.extensions import db
from portal.models import Installment, Payment, Plan, Refund, User

T = TypeVar("T", Plan, Installment, Payment, Refund)


def require(user: User, *roles: str) -> None:
    """Raise Forbidden unless the user has one of these roles."""
    if user.role not in roles:
        raise Forbidden()


def my_plan(user: User, plan_id: int) -> Plan:
    """The plan with its merchant and customer, for either of the two. Raises NotFound."""
    query = select(Plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    return _mine(query.where(Plan.id == plan_id, _party(user, Plan)), plan_id)


def my_installment(user: User, installment_id: int) -> Installment:
    """The installment with its plan, for the plan's merchant or customer. Raises NotFound."""
    query = select(Installment).options(joinedload(Installment.plan))
    return _mine(query.where(Installment.id == installment_id, _party(user, Installment)), installment_id)


def my_payment(user: User, payment_id: int) -> Payment:
    """The payment, for the plan's merchant or customer. Raises NotFound."""
    return _mine(select(Payment).where(Payment.id == payment_id, _party(user, Payment)), payment_id)


def my_refund(user: User, refund_id: int) -> Refund:
    """The refund, for the plan's merchant or customer. Raises NotFound."""
    return _mine(select(Refund).where(Refund.id == refund_id, _party(user, Refund)), refund_id)


def my_customer(user: User, customer_id: int) -> User:
    """A customer with a plan of this merchant. Raises NotFound."""
    plans = select(Plan.id).where(Plan.merchant_id == user.id, Plan.customer_id == User.id)
    query = select(User).where(User.id == customer_id, plans.exists())
    customer: User | None = db.session.scalar(query) if 0 < customer_id <= MAX_ID else None
    if customer is None:
        raise NotFound()
    return customer


def client_address() -> str:
    """The client's IP address, a key of rate limits. IPv6 addresses are cut to their /64, the network of one site."""
    try:
        client = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(client, ipaddress.IPv6Address):
        if client.ipv4_mapped is not None:
            return str(client.ipv4_mapped)
        return str(ipaddress.ip_network((client, 64), strict=False).network_address)
    return str(client)


def login_key(login: str) -> str:
    """The rate-limit key of an account, the same for its username and its email; without an account, of `login`."""
    user = db.session.scalar(User.by_login(login)) if login.strip() else None
    return (
        f"user:{user.id}"
        if user is not None
        else f"name:{identifiers.username_key(login[: identifiers.MAX_LENGTH])[:254]}"
    )


def _party(user: User, table: type[Plan] | type[Installment] | type[Payment] | type[Refund]) -> ColumnElement[bool]:
    return or_(table.merchant_id == user.id, table.customer_id == user.id)


def _mine(query: Select[T], row_id: int) -> T:
    row = db.session.scalar(query) if 0 < row_id <= MAX_ID else None
    if row is None:
        raise NotFound()
    return row
