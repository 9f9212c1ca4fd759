"""The payment gateway: simulated, with its own tables, as if it stood on somebody else's machine.

It commits on connections of its own, never in the caller's transaction. Whatever goes wrong between us and it is
`unknown`: the charge may have happened. Asking again under the same key is always safe, in both directions: `charge`
and `refund` repeat their first answer, and `resolve` and `resolve_refund` give the final word, which closes the key if
nothing was done under it. Its test cards decide what happens; docs/test-cards.md lists them.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import structlog
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Index,
    Row,
    String,
    Table,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from portal.domain import clock
from portal.extensions import db

log = structlog.get_logger(__name__)

charges = Table(
    "gateway_charges",
    db.metadata,
    Column("key", String(64), primary_key=True),
    Column("amount", BigInteger),
    Column("currency", String(3)),
    Column("token", String(64)),
    Column("outcome", String(20), nullable=False),
    Column("decline_code", String(40)),
    Column("reference", String(64), nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("reversed_at", DateTime(timezone=True)),
    Column("told_at", DateTime(timezone=True)),
    CheckConstraint("outcome IN ('charged', 'declined', 'closed')", name="outcome"),
    CheckConstraint("(outcome = 'charged') = (decline_code IS NULL)", name="decline_code"),
    CheckConstraint("reversed_at IS NULL OR outcome = 'charged'", name="reversed"),
    CheckConstraint("told_at IS NULL OR reversed_at IS NOT NULL", name="told"),
    Index(
        "ix_gateway_charges_bouncing_created_at",
        "created_at",
        postgresql_where=text("token = 'card_reversed_later' AND reversed_at IS NULL"),
    ),
    Index(
        "ix_gateway_charges_untold_reversed_at",
        "reversed_at",
        postgresql_where=text("reversed_at IS NOT NULL AND told_at IS NULL"),
    ),
)
"""What the simulated gateway remembers. Nothing of ours may read it but tests and checks."""

refunds = Table(
    "gateway_refunds",
    db.metadata,
    Column("key", String(64), primary_key=True),
    Column("charge_key", String(64)),
    Column("amount", BigInteger),
    Column("outcome", String(20), nullable=False),
    Column("decline_code", String(40)),
    Column("reference", String(64), nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("outcome IN ('refunded', 'declined', 'closed')", name="outcome"),
    CheckConstraint("(outcome = 'refunded') = (decline_code IS NULL)", name="decline_code"),
    Index("ix_gateway_refunds_charge_key", "charge_key"),
)
"""What it gave back, and of which charge: never more than that charge."""

cards = Table(
    "gateway_cards",
    db.metadata,
    Column("token", String(64), primary_key=True),
    Column("card", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
"""Cards it keeps for customers, under a token that it gave out."""

BOUNCES_AFTER: Final = timedelta(seconds=30)
"""How long after the charge the card that bounces is taken back."""
SLOW: Final = 2.0
"""Seconds that the slow card takes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a charge or a refund. `unknown` is not "failed": ask about the same key until it is known.

    `reversed`: it succeeded, and the bank took it back since.
    """

    state: Literal["succeeded", "declined", "unknown"]
    reference: str | None = None
    decline_code: str | None = None
    reversed: bool = False


UNKNOWN: Final = Outcome("unknown")


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. `token` is what the gateway takes; no card number exists anywhere."""

    token: str
    label: str
    last4: str
    effect: str
    refund: str = "refunded"
    brand: str = "Visa"


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that the gateway keeps: its token, and what a person recognises it by."""

    token: str
    brand: str
    last4: str


CARDS: Final = (
    Card("card_ok", "Test card that succeeds", "4242", "charged"),
    Card("card_declined", "Test card that is declined", "0002", "declined"),
    Card("card_insufficient_funds", "Test card without enough money", "9995", "insufficient_funds"),
    Card("card_lost_charged", "Test card that is charged, but the answer is lost", "3101", "lost_charged"),
    Card("card_lost_not_charged", "Test card that is not charged, and the answer is lost", "3102", "lost_not_charged"),
    Card("card_slow", "Test card that takes two seconds", "3220", "slow"),
    Card("card_reversed_later", "Test card whose payment bounces half a minute later", "0259", "charged"),
    Card("card_refund_declined", "Test card that takes no refunds", "5126", "charged", refund="refund_refused"),
    Card("card_refund_lost_done", "Test card that is refunded, but the answer is lost", "7726", "charged", "lost_done"),
    Card(
        "card_refund_lost_not_done",
        "Test card that is not refunded, and the answer is lost",
        "7734",
        "charged",
        "lost_not_done",
    ),
)
DEFAULT_CARD: Final = CARDS[0].token
BOUNCING: Final = "card_reversed_later"
SAVED_TOKEN: Final = r"pm_[0-9a-f]{32}"  # noqa: S105 a pattern
_BY_TOKEN: Final = {card.token: card for card in CARDS}


def is_known(token: str) -> bool:
    """Whether this is one of the test cards."""
    return token in _BY_TOKEN


def save_card(card: str) -> SavedCard | None:
    """Keep a test card for later, under a new token. None when there is no such card, or the gateway is away."""
    known = _BY_TOKEN.get(card)
    if known is None:
        return None
    token = f"pm_{secrets.token_hex(16)}"
    try:
        with db.engine.begin() as connection:
            connection.execute(insert(cards).values(token=token, card=card, created_at=clock.now()))
    except SQLAlchemyError:
        log.warning("gateway.no_answer", exc_info=True)
        return None
    return SavedCard(token, known.brand, known.last4)


def charge(key: str, amount: int, currency: str, token: str) -> Outcome:
    """Charge `amount` minor units under `key`, at most once however often it is called. Never raises."""
    try:
        card = _card(token)
        effect = card.effect if card else "declined"
        if effect == "lost_not_charged":
            return UNKNOWN
        if effect == "slow":
            time.sleep(SLOW)
        code = None if effect in ("charged", "lost_charged", "slow") else effect
        with db.engine.begin() as connection:
            connection.execute(
                insert(charges)
                .values(
                    key=key,
                    amount=amount,
                    currency=currency,
                    token=card.token if card else token,
                    outcome="declined" if code else "charged",
                    decline_code=code,
                    reference=_reference("ch"),
                    created_at=clock.now(),
                )
                .on_conflict_do_nothing(index_elements=["key"])
            )
            row = connection.execute(select(charges).where(charges.c.key == key)).one()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return UNKNOWN if effect == "lost_charged" else _outcome(row)


def look_up(key: str) -> Outcome:
    """What is known of a charge so far, leaving the key open. Never raises."""
    return _so_far(charges, key)


def resolve(key: str) -> Outcome:
    """The final word on `key`: what it was, and if there is nothing, that there never will be. Never raises.

    A key without a charge is closed in the same step, so a charge that is still on its way is refused when it arrives.
    """
    return _final_word(charges, key, "not_charged", "ch")


def refund(key: str, charge_key: str, amount: int) -> Outcome:
    """Give back `amount` minor units of a charge under `key`, at most once. Never raises.

    Declines `over_refunded` when the charge has not that much left, and `charge_reversed` when the bank took it back.
    """
    try:
        with db.engine.begin() as connection:
            charged = connection.execute(
                select(charges).where(charges.c.key == charge_key, charges.c.outcome == "charged").with_for_update()
            ).one_or_none()
            card = _BY_TOKEN.get(charged.token) if charged is not None else None
            effect = card.refund if card else "refund_refused"
            if effect == "lost_not_done":
                return UNKNOWN
            code = _why_not(connection, charged, amount, effect)
            connection.execute(
                insert(refunds)
                .values(
                    key=key,
                    charge_key=charge_key,
                    amount=amount,
                    outcome="declined" if code else "refunded",
                    decline_code=code,
                    reference=_reference("re"),
                    created_at=clock.now(),
                )
                .on_conflict_do_nothing(index_elements=["key"])
            )
            row = connection.execute(select(refunds).where(refunds.c.key == key)).one()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return UNKNOWN if effect == "lost_done" else _outcome(row)


def look_up_refund(key: str) -> Outcome:
    """What is known of a refund so far, leaving the key open. Never raises."""
    return _so_far(refunds, key)


def resolve_refund(key: str) -> Outcome:
    """The final word on a refund's key, which is closed if nothing was given back. Never raises."""
    return _final_word(refunds, key, "not_refunded", "re")


def bounce(key: str) -> bool:
    """The bank takes a charge back. False when there is no such charge, or it was taken back before."""
    with db.engine.begin() as connection:
        taken = connection.execute(
            update(charges)
            .where(charges.c.key == key, charges.c.outcome == "charged", charges.c.reversed_at.is_(None))
            .values(reversed_at=clock.now())
            .returning(charges.c.key)
        )
        return taken.scalar() is not None


def bounce_due(limit: int = 100) -> None:
    """Take back what was charged to the card that bounces, when its time has come; at most `limit` charges."""
    now = clock.now()
    with db.engine.begin() as connection:
        due = (
            select(charges.c.key)
            .where(charges.c.token == BOUNCING, charges.c.reversed_at.is_(None))
            .where(charges.c.outcome == "charged", charges.c.created_at <= now - BOUNCES_AFTER)
            .order_by(charges.c.created_at)
            .limit(limit)
        )
        connection.execute(update(charges).where(charges.c.key.in_(due)).values(reversed_at=now))


def untold(limit: int, after: str | None = None) -> list[str]:
    """The keys of charges that were taken back and that nobody has been told of, oldest first, those after a key."""
    place = charges.c.reversed_at, charges.c.key
    found = select(charges.c.key).where(charges.c.reversed_at.is_not(None), charges.c.told_at.is_(None))
    if after is not None:
        found = found.where(tuple_(*place) > select(*place).where(charges.c.key == after).scalar_subquery())
    with db.engine.begin() as connection:
        return list(connection.execute(found.order_by(*place).limit(limit)).scalars())


def told(key: str) -> None:
    """The callback about this charge was taken; it need not be sent again."""
    with db.engine.begin() as connection:
        connection.execute(update(charges).where(charges.c.key == key).values(told_at=clock.now()))


def _card(token: str) -> Card | None:
    """The test card behind a token, a saved one's too."""
    if token in _BY_TOKEN:
        return _BY_TOKEN[token]
    with db.engine.begin() as connection:
        kept = connection.execute(select(cards.c.card).where(cards.c.token == token)).scalar()
    return _BY_TOKEN.get(kept or "")


def _why_not(connection: Connection, charged: Row[Any] | None, amount: int, effect: str) -> str | None:
    """Why a refund is declined, or None."""
    if charged is None:
        return "no_such_charge"
    if charged.reversed_at is not None:
        return "charge_reversed"
    gone = connection.execute(
        select(func.coalesce(func.sum(refunds.c.amount), 0)).where(
            refunds.c.charge_key == charged.key, refunds.c.outcome == "refunded"
        )
    ).scalar_one()
    if gone + amount > charged.amount:
        return "over_refunded"
    return None if effect in ("refunded", "lost_done") else effect


def _so_far(table: Table, key: str) -> Outcome:
    try:
        with db.engine.begin() as connection:
            row = connection.execute(select(table).where(table.c.key == key)).one_or_none()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return UNKNOWN if row is None else _outcome(row)


def _final_word(table: Table, key: str, code: str, prefix: str) -> Outcome:
    try:
        with db.engine.begin() as connection:
            connection.execute(
                insert(table)
                .values(
                    key=key,
                    outcome="closed",
                    decline_code=code,
                    reference=_reference(prefix),
                    created_at=clock.now(),
                )
                .on_conflict_do_nothing(index_elements=["key"])
            )
            row = connection.execute(select(table).where(table.c.key == key)).one()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return _outcome(row)


def _outcome(row: Row[Any]) -> Outcome:
    if row.outcome in ("charged", "refunded"):
        return Outcome("succeeded", row.reference, reversed=getattr(row, "reversed_at", None) is not None)
    return Outcome("declined", row.reference, row.decline_code)


def _reference(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
