"""A member's choice of the notices of a business, on the settings page and by the link of a mail."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from portal.domain.permissions import Actor
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Membership, Merchant, NoticeSettings, User
from portal.models.notices import DIGESTED, NOTICES, URGENT, Notice
from portal.services.accounts import hats
from portal.services.notices import readers
from portal.services.unit_of_work import unit_of_work

What = Literal["digest"] | Notice
"""The target of a mail's link: the digest, or one kind of notice."""
_SALT: Final = "notices"


@dataclass(frozen=True, slots=True)
class Choice:
    """The notices that a member gets, and whether the digest is sent at once instead of at 08:00."""

    on: tuple[Notice, ...]
    at_once: bool


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """The reader of a mail, its business, and what its link turns off. `is_off`: it is off already."""

    user_id: int
    merchant_id: int
    what: What
    email: str
    business: str
    is_off: bool


def choice_of(user_id: int, merchant_id: int) -> Choice:
    """The member's choice; without one everything is on, in a digest a day."""
    row = db.session.get(NoticeSettings, (user_id, merchant_id), populate_existing=True)
    off = row.off if row is not None else []
    return Choice(tuple(notice for notice in NOTICES if notice not in off), row is not None and row.at_once)


@unit_of_work
def choose(actor: Actor, *, on: Collection[str] | None = None, at_once: bool | None = None) -> Choice:
    """Set what the actor is told about their business: the notices `on`, all others off. A part that is None stays.

    Refuses: forbidden.
    """
    merchant_id = actor.business("settings")
    hats.confirm(actor, "settings")
    found = db.session.get(NoticeSettings, (actor.user_id, merchant_id), with_for_update=True, populate_existing=True)
    off = list(found.off) if found is not None else []
    if on is not None:
        off = [notice for notice in NOTICES if notice not in on]
    if at_once is None:
        at_once = found is not None and found.at_once
    _row(actor.user_id, merchant_id, off=off, at_once=at_once)
    return Choice(tuple(notice for notice in NOTICES if notice not in off), at_once)


@unit_of_work
def turn_off(token: str) -> None:
    """Turn off what this token of a mail names, without signing in. Refuses: not_found (no such token, or no member).

    Nothing else changes, so the token may be used again.
    """
    target = read(token)
    if target is None:
        raise NotFound()
    chosen = db.session.get(
        NoticeSettings, (target.user_id, target.merchant_id), with_for_update=True, populate_existing=True
    )
    off = {*(chosen.off if chosen is not None else ()), *_named(target.what)}
    at_once = chosen is not None and chosen.at_once
    _row(target.user_id, target.merchant_id, off=[notice for notice in NOTICES if notice in off], at_once=at_once)


def token_of(user_id: int, merchant_id: int, what: What) -> str:
    """The signed token of the link in a mail to this member. It never expires, and turns `what` off, nothing else."""
    return _signer().dumps([user_id, merchant_id, what])


def read(token: str) -> Unsubscription | None:
    """The target of a token. None if the signature is wrong, or the person is told nothing about the business."""
    try:
        user_id, merchant_id, what = _signer().loads(token)
    except (BadSignature, ValueError, TypeError):
        return None
    query = (
        select(User.email, Merchant.business_name, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .join(Merchant, Merchant.id == Membership.merchant_id)
        .where(User.id == user_id, Merchant.id == merchant_id)
    )
    found = db.session.execute(query).one_or_none()
    if found is None or found.role not in readers.ROLES:
        return None
    on = choice_of(user_id, merchant_id).on
    is_off = not set(_named(what)) & set(on)
    return Unsubscription(user_id, merchant_id, what, found.email, found.business_name, is_off)


def _named(what: What) -> tuple[Notice, ...]:
    return DIGESTED if what == "digest" else tuple(notice for notice in URGENT if notice == what)


def _row(user_id: int, merchant_id: int, *, off: list[Notice], at_once: bool) -> None:
    """Insert or update the choice. A new row is told from now on."""
    start = readers.starting_now(merchant_id)
    row = insert(NoticeSettings).values(user_id=user_id, merchant_id=merchant_id, off=off, at_once=at_once, **start)
    chosen = {"off": off, "at_once": at_once}
    db.session.execute(row.on_conflict_do_update(index_elements=["user_id", "merchant_id"], set_=chosen))


def _signer() -> URLSafeSerializer:
    keys = current_app.config["QIST"].secret_keys
    return URLSafeSerializer(list(reversed(keys)), salt=_SALT)  # it signs with the last one
