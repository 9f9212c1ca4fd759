"""The payment gateway: simulated, with its own table of charges, as if it stood on somebody else's machine.

It commits on connections of its own, never in the caller's transaction. Whatever goes wrong between us and it is
`unknown`: the charge may have happened. Asking again under the same key is always safe, in both directions:
`charge` repeats the first answer, and `resolve` gives the final word, which closes the key if nothing was charged.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog
from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Row, String, Table, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from portal import clock
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
    CheckConstraint("outcome IN ('charged', 'declined', 'closed')", name="outcome"),
    CheckConstraint("(outcome = 'charged') = (decline_code IS NULL)", name="decline_code"),
)
"""What the simulated gateway remembers. Nothing of ours may read it but tests and checks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a charge. `unknown` is not "failed": ask `resolve` about the same key until it is known."""

    state: Literal["succeeded", "declined", "unknown"]
    reference: str | None = None
    decline_code: str | None = None


UNKNOWN: Final = Outcome("unknown")


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. `token` is what the gateway takes; no card number exists anywhere."""

    token: str
    label: str
    last4: str
    effect: str


CARDS: Final = (
    Card("card_ok", "Test card that succeeds", "4242", "charged"),
    Card("card_declined", "Test card that is declined", "0002", "declined"),
    Card("card_insufficient_funds", "Test card without enough money", "9995", "insufficient_funds"),
    Card("card_lost_charged", "Test card that is charged, but the answer is lost", "3101", "lost_charged"),
    Card("card_lost_not_charged", "Test card that is not charged, and the answer is lost", "3102", "lost_not_charged"),
)
DEFAULT_CARD: Final = CARDS[0].token
_BY_TOKEN: Final = {card.token: card for card in CARDS}


def is_known(token: str) -> bool:
    """Whether the gateway takes this token."""
    return token in _BY_TOKEN


def charge(key: str, amount: int, currency: str, token: str) -> Outcome:
    """Charge `amount` minor units under `key`, at most once however often it is called. Never raises."""
    card = _BY_TOKEN.get(token)
    effect = card.effect if card else "declined"
    if effect == "lost_not_charged":
        return UNKNOWN
    code = None if effect in ("charged", "lost_charged") else effect
    try:
        with db.engine.begin() as connection:
            connection.execute(
                insert(charges)
                .values(
                    key=key,
                    amount=amount,
                    currency=currency,
                    token=token,
                    outcome="declined" if code else "charged",
                    decline_code=code,
                    reference=_reference(),
                    created_at=clock.now(),
                )
                .on_conflict_do_nothing(index_elements=["key"])
            )
            row = connection.execute(select(charges).where(charges.c.key == key)).one()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return UNKNOWN if effect == "lost_charged" else _outcome(row)


def resolve(key: str) -> Outcome:
    """The final word on `key`: what it was, and if there is nothing, that there never will be. Never raises.

    A key without a charge is closed in the same step, so a charge that is still on its way is refused when it arrives.
    """
    try:
        with db.engine.begin() as connection:
            connection.execute(
                insert(charges)
                .values(
                    key=key,
                    outcome="closed",
                    decline_code="not_charged",
                    reference=_reference(),
                    created_at=clock.now(),
                )
                .on_conflict_do_nothing(index_elements=["key"])
            )
            row = connection.execute(select(charges).where(charges.c.key == key)).one()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return _outcome(row)


def _outcome(row: Row[Any]) -> Outcome:
    if row.outcome == "charged":
        return Outcome("succeeded", row.reference)
    return Outcome("declined", row.reference, row.decline_code)


def _reference() -> str:
    return f"ch_{secrets.token_hex(12)}"
