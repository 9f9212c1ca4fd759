"""Look-ups that return an object of the actor or raise NotFound; pages and API share them.

`my_` finds what the actor may read: plans of the business whose hat they wear, and what they owe under any hat.
`our_` finds what the actor's business may act on. `owed_` finds what the actor may pay. An object of others and an
object that does not exist give the same response.
"""

import functools
import ipaddress
from typing import TypeVar

from flask import request
from sqlalchemy import BigInteger, BindParameter, ColumnElement, Select, bindparam, false, or_, select
from sqlalchemy.orm import joinedload, undefer

from portal.domain import identifiers
from portal.domain.identifiers import MAX_ID
from portal.domain.permissions import Actor
from portal.errors import Forbidden, NotFound
from portal.extensions import db
from portal.models import Contact, Import, Installment, Merchant, Payment, Plan, Refund, User

T = TypeVar("T", Plan, Installment, Payment, Refund)
Owed = TypeVar("Owed", Plan, Installment)
V = TypeVar("V")


def my_plan(actor: Actor, plan_id: int) -> Plan:
    """The plan with its merchant and customer, for either of the two. Raises NotFound."""
    query = select(Plan).options(joinedload(Plan.merchant), joinedload(Plan.customer), joinedload(Plan.open_proposal))
    return _mine(query.where(Plan.id == plan_id, _party(actor, Plan)), plan_id)


def my_plan_with(actor: Actor, plan_id: int, value: ColumnElement[V]) -> tuple[Plan, V]:
    """As `my_plan`, with the merchant's letterhead, and a value of the same statement. Raises NotFound.

    The statement is kept for each `value`, so `value` has to be made once.
    """
    sees, pays = _rights(actor)
    mine = {"id": plan_id, "merchant_id": actor.merchant_id, "user_id": actor.user_id}
    row = db.session.execute(_plan_with(value, sees, pays), mine).one_or_none() if 0 < plan_id <= MAX_ID else None
    if row is None:
        raise NotFound()
    return row[0], row[1]


@functools.cache
def _plan_with(value: ColumnElement[V], sees: bool, pays: bool) -> Select[Plan, V]:
    """The statement of `my_plan_with`. `sees` plans of the business `merchant_id`, `pays` those of `user_id`."""
    merchant = joinedload(Plan.merchant).joinedload(Merchant.letterhead)
    merchant_id = bindparam("merchant_id", type_=BigInteger) if sees else None
    customer_id = bindparam("user_id", type_=BigInteger) if pays else None
    mine = _of_either(Plan, merchant_id, customer_id)
    query = select(Plan, value).where(Plan.id == bindparam("id", type_=BigInteger), mine)
    return query.options(merchant, joinedload(Plan.customer), joinedload(Plan.open_proposal))


def my_installment(actor: Actor, installment_id: int) -> Installment:
    """The installment with its plan and merchant, for the plan's merchant or customer. Raises NotFound."""
    plan = joinedload(Installment.plan).options(joinedload(Plan.merchant), joinedload(Plan.open_proposal))
    query = select(Installment).options(plan)
    return _mine(query.where(Installment.id == installment_id, _party(actor, Installment)), installment_id)


def my_payment(actor: Actor, payment_id: int) -> Payment:
    """The payment, for the plan's merchant or customer. Raises NotFound."""
    return _mine(select(Payment).where(Payment.id == payment_id, _party(actor, Payment)), payment_id)


def my_refund(actor: Actor, refund_id: int) -> Refund:
    """The refund, for the plan's merchant or customer. Raises NotFound."""
    return _mine(select(Refund).where(Refund.id == refund_id, _party(actor, Refund)), refund_id)


def our_plan(actor: Actor, plan_id: int) -> Plan:
    """The plan with its parties, for an act of its business. Raises NotFound; OwnPlan if the actor owes it."""
    plan = my_plan(actor, plan_id)
    actor.act_on(plan.merchant_id, plan.customer_id)
    return plan


def our_payment(actor: Actor, payment_id: int) -> Payment:
    """The payment, for an act of its business. Raises NotFound; OwnPlan if the actor owes the plan."""
    payment = my_payment(actor, payment_id)
    actor.act_on(payment.merchant_id, payment.customer_id)
    return payment


def owed_plan(actor: Actor, plan_id: int, *, about: str = "") -> Plan:
    """The plan with its parties, for its customer. Raises NotFound; Forbidden (about `about`) for its business."""
    return _owed(actor, my_plan(actor, plan_id), about=about)


def owed_installment(actor: Actor, installment_id: int, *, about: str = "") -> Installment:
    """The installment with its plan, for its customer. Raises NotFound; Forbidden (about `about`) for its business."""
    return _owed(actor, my_installment(actor, installment_id), about=about)


def owed_currency(actor: Actor, table: type[Plan] | type[Installment], row_id: int, *, about: str = "") -> str:
    """The currency of a plan or an installment that the actor may pay, without the rest of it.

    Raises NotFound; Forbidden (about `about`) for its business.
    """
    row = db.session.execute(_parties(table), {"id": row_id}).one_or_none() if 0 < row_id <= MAX_ID else None
    if row is not None and actor.owes(row.customer_id):
        return str(row.currency)
    if row is None or actor.merchant_id != row.merchant_id or not actor.may("view"):
        raise NotFound()
    raise Forbidden(about)


def my_import(actor: Actor, import_id: int) -> Import:
    """An import of the actor's business; a file that waits, for the person who sent it. Raises NotFound."""
    mine = Import.visible_to(actor.merchant_id or 0, actor.user_id)
    query = (
        select(Import).where(Import.id == import_id, mine).options(undefer(Import.content), joinedload(Import.creator))
    )
    row: Import | None = db.session.scalar(query) if 0 < import_id <= MAX_ID else None
    if row is None:
        raise NotFound()
    return row


def my_contact(actor: Actor, contact_id: int) -> Contact:
    """A person without a plan whom the actor's business imported. Raises NotFound."""
    query = select(Contact).where(Contact.id == contact_id, Contact.merchant_id == actor.merchant_id)
    contact: Contact | None = db.session.scalar(query) if 0 < contact_id <= MAX_ID else None
    if contact is None:
        raise NotFound()
    return contact


def my_customer(actor: Actor, customer_id: int) -> User:
    """A customer with a plan of the actor's business. Raises NotFound."""
    plans = select(Plan.id).where(Plan.merchant_id == actor.merchant_id, Plan.customer_id == User.id)
    query = select(User).where(User.id == customer_id, plans.exists())
    customer: User | None = db.session.scalar(query) if 0 < customer_id <= MAX_ID else None
    if customer is None:
        raise NotFound()
    return customer


def our_customer(actor: Actor, customer_id: int) -> User:
    """A customer of the actor's business, for an act of it. Raises NotFound; OwnPlan if the actor is the customer."""
    customer = my_customer(actor, customer_id)
    actor.act_on(actor.merchant_id or 0, customer.id)
    return customer


def client_address() -> str:
    """The client's IP address, a key of rate limits. IPv6 addresses are cut to their /64, the network of one site."""
    return _site_of(request.remote_addr or "")


@functools.lru_cache(maxsize=4096)
def _site_of(address: str) -> str:
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(client, ipaddress.IPv6Address):
        if client.ipv4_mapped is not None:
            return str(client.ipv4_mapped)
        return str(ipaddress.ip_network((client, 64), strict=False).network_address)
    return str(client)


def login_key(login: str) -> str:
    """The rate-limit key of a typed username or email, the same for all its spellings.

    The username and the email of an account have different keys: with one key, the limit would tell that they belong
    together. Whether an account exists makes no difference either.
    """
    login = login[: identifiers.MAX_LENGTH]
    key = identifiers.email_key(login) if "@" in login else identifiers.username_key(login)
    return f"name:{key[:254]}"


def _party(actor: Actor, table: type[Plan] | type[Installment] | type[Payment] | type[Refund]) -> ColumnElement[bool]:
    sees, pays = _rights(actor)
    return _of_either(table, actor.merchant_id if sees else None, actor.user_id if pays else None)


def _rights(actor: Actor) -> tuple[bool, bool]:
    """Whether the actor sees the rows of a business, and what they owe themselves."""
    return actor.merchant_id is not None and actor.may("view"), actor.may("pay")


def _of_either(
    table: type[Plan] | type[Installment] | type[Payment] | type[Refund],
    merchant_id: int | BindParameter[int] | None,
    customer_id: int | BindParameter[int] | None,
) -> ColumnElement[bool]:
    ours = table.merchant_id == merchant_id if merchant_id is not None else false()
    return or_(ours, table.customer_id == customer_id if customer_id is not None else false())


@functools.cache
def _parties(table: type[Plan] | type[Installment]) -> Select[int, int, str]:
    """The parties and the currency of the row `id`."""
    return select(table.customer_id, table.merchant_id, table.currency).where(table.id == bindparam("id"))


def _owed(actor: Actor, row: Owed, *, about: str) -> Owed:
    if not actor.owes(row.customer_id):
        raise Forbidden(about)
    return row


def _mine(query: Select[T], row_id: int) -> T:
    row = db.session.scalar(query) if 0 < row_id <= MAX_ID else None
    if row is None:
        raise NotFound()
    return row
