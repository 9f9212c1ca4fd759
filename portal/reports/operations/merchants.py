"""Businesses for the operators: a list with a search, and one business with its people, names alike and acts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import joinedload

from portal.domain import lookalikes
from portal.domain.identifiers import MAX_ID
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant, OperatorAct, Plan, PlanDraft, Refund, User
from portal.reports import paging
from portal.reports.paging import Page

STATES: Final = ("waiting", "declined", "active", "deactivated", "closing", "closed")
ACTS_SHOWN: Final = 30
ALIKE_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """A business, and the number of others whose names read like its name."""

    merchant: Merchant
    alike: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The numbers of businesses that wait for approval, and of refunds that await their release."""

    merchants: int
    refunds: int


@dataclass(frozen=True, slots=True)
class MerchantDetails:
    """A business with its members by role and time, businesses with names alike, the newest acts, and counts.

    `since` is the instant at which its first member joined.
    """

    merchant: Merchant
    members: Sequence[Membership]
    alike: Sequence[Merchant]
    acts: Sequence[OperatorAct]
    since: datetime | None
    open_plans: int
    drafts: int
    keys: int
    waiting_refunds: int


def list_merchants(
    *,
    state: str | None = None,
    search: str = "",
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[MerchantRow]:
    """Businesses, newest first. `state` is one of STATES.

    `search` is the beginning of the name as it reads, of a member's username or email, or the id. Refuses: bad_cursor
    (Invalid).
    """
    query = select(Merchant)
    if state:
        query = query.where(_in_state(state))
    if search:
        query = query.where(_matches(search))
    page = paging.fetch(query, Merchant.id, descending=True, limit=limit, cursor=cursor)
    counts = _alike_counts([merchant.name_skeleton for merchant in page.items])
    rows = [MerchantRow(merchant, max(0, counts.get(merchant.name_skeleton, 0) - 1)) for merchant in page.items]
    return Page(rows, page.next_cursor)


def waiting() -> Waiting:
    """The counts of everything that waits for an operator."""
    merchants = select(func.count()).select_from(Merchant).where(_in_state("waiting")).scalar_subquery()
    refunds = select(func.count()).select_from(Refund).where(Refund.awaits_release).scalar_subquery()
    return Waiting(*db.session.execute(select(merchants, refunds)).one())


def find(merchant_id: int) -> MerchantDetails | None:
    """One business, or None."""
    merchant = db.session.get(Merchant, merchant_id) if 0 < merchant_id <= MAX_ID else None
    if merchant is None:
        return None
    members = db.session.scalars(
        select(Membership)
        .where(Membership.merchant_id == merchant_id)
        .options(joinedload(Membership.user))
        .order_by(Membership.created_at, Membership.user_id)
    ).all()
    alike = db.session.scalars(
        select(Merchant)
        .where(Merchant.name_skeleton == merchant.name_skeleton, Merchant.name_skeleton != "")
        .where(Merchant.id != merchant_id)
        .order_by(Merchant.id)
        .limit(ALIKE_SHOWN)
    ).all()
    return MerchantDetails(
        merchant=merchant,
        members=members,
        alike=alike,
        acts=acts_of(OperatorAct.merchant_id == merchant_id),
        since=min((member.created_at for member in members), default=None),
        open_plans=_count(select(Plan.id).where(Plan.merchant_id == merchant_id, Plan.state == "active")),
        drafts=_count(select(PlanDraft.id).where(PlanDraft.merchant_id == merchant_id)),
        keys=_count(select(ApiKey.id).where(ApiKey.merchant_id == merchant_id, ApiKey.revoked_at.is_(None))),
        waiting_refunds=_count(select(Refund.id).where(Refund.merchant_id == merchant_id, Refund.awaits_release)),
    )


def acts_of(condition: ColumnElement[bool]) -> Sequence[OperatorAct]:
    """The newest acts that meet a condition, with operators, businesses and people."""
    return db.session.scalars(
        select(OperatorAct)
        .where(condition)
        .options(joinedload(OperatorAct.actor), joinedload(OperatorAct.merchant), joinedload(OperatorAct.user))
        .order_by(OperatorAct.id.desc())
        .limit(ACTS_SHOWN)
    ).all()


def waiting_refunds(*, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None) -> Page[tuple[Refund, Merchant]]:
    """Refunds that await their release, oldest first, with their businesses. Refuses: bad_cursor (Invalid)."""
    query = select(Refund).where(Refund.awaits_release)
    page = paging.fetch(query, Refund.id, descending=False, limit=limit, cursor=cursor)
    ids = {refund.merchant_id for refund in page.items}
    merchants = {row.id: row for row in db.session.scalars(select(Merchant).where(Merchant.id.in_(ids)))}
    return Page([(refund, merchants[refund.merchant_id]) for refund in page.items], page.next_cursor)


def _in_state(state: str) -> ColumnElement[bool]:
    open_again = Merchant.deactivated_at.is_(None)
    undecided = Merchant.approved_at.is_(None)
    conditions: dict[str, ColumnElement[bool]] = {
        "waiting": and_(undecided, Merchant.declined_at.is_(None), open_again),
        "declined": and_(Merchant.declined_at.is_not(None), open_again),
        "active": and_(Merchant.approved_at.is_not(None), open_again, Merchant.closing_at.is_(None)),
        "deactivated": Merchant.deactivated_at.is_not(None),
        "closing": and_(Merchant.closing_at.is_not(None), Merchant.closed_at.is_(None)),
        "closed": Merchant.closed_at.is_not(None),
    }
    return conditions[state]


def _matches(search: str) -> ColumnElement[bool]:
    people = select(Membership.merchant_id).join(User, User.id == Membership.user_id).where(User.starts_with(search))
    name = Merchant.name_skeleton.startswith(lookalikes.skeleton(search), autoescape=True)
    conditions: list[ColumnElement[bool]] = [name, Merchant.id.in_(people)]
    if search.isascii() and search.isdigit() and int(search[:20]) <= MAX_ID:
        conditions.append(Merchant.id == int(search[:20]))
    return or_(*conditions)


def _alike_counts(skeletons: Sequence[str]) -> dict[str, int]:
    query = (
        select(Merchant.name_skeleton, func.count())
        .where(Merchant.name_skeleton.in_(skeletons), Merchant.name_skeleton != "")
        .group_by(Merchant.name_skeleton)
    )
    return {row[0]: row[1] for row in db.session.execute(query)}


def _count(query: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
