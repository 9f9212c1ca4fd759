"""The simulated gateway. A test card decides the outcome of each charge and of its refunds.

It commits on connections of its own, never in the caller's transaction. If its database fails, the outcome is
`unknown`: the charge may have happened. A repeated call with the same key is safe: `charge` and `refund` return their
first outcome. `resolve` and `resolve_refund` return the final outcome, and close a key that has none.
"""

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from portal.config import Settings
from portal.domain import clock
from portal.extensions import db
from portal.gateways.payment.outcomes import UNKNOWN, OfferedMethod, Outcome, SavedCard
from portal.gateways.payment.protocol import BadSignature, UnreadableCallback
from portal.gateways.payment.simulated import checks, signatures
from portal.gateways.payment.simulated.cards import BOUNCING, BY_TOKEN, OFFERED, WINNING, Card
from portal.gateways.payment.simulated.tables import cards, charges, refunds

log = structlog.get_logger(__name__)

BOUNCES_AFTER: Final = timedelta(seconds=30)
"""The time between a charge to a bouncing card and its reversal, and between that and a won dispute."""
SLOW: Final = 2.0
"""Seconds that a charge to the slow card takes."""
BOUNCES_AT_ONCE: Final = 100
"""Charges to the bouncing cards that one call reverses at most, and disputes that it wins."""

_CHARGE: Final = insert(charges).on_conflict_do_nothing(index_elements=["key"]).returning(*charges.c)
_CHANGED_AT: Final = func.coalesce(charges.c.reversed_at, charges.c.created_at)
_REVERSALS: Final = f"""SELECT FROM gateway_charges
    WHERE told_at IS NULL AND (reversed_at IS NOT NULL OR wins_back IS NOT NULL)
    UNION ALL SELECT FROM gateway_charges WHERE token IN {BOUNCING} AND reversed_at IS NULL AND wins_back IS NULL
    AND outcome = 'charged' AND created_at <= :now - interval '{BOUNCES_AFTER.seconds} seconds'
    UNION ALL SELECT FROM gateway_charges AS lost WHERE token = '{WINNING}' AND reversed_amount > 0
    AND reversed_at <= :now - interval '{BOUNCES_AFTER.seconds} seconds'
    AND NOT EXISTS (SELECT FROM gateway_charges AS won WHERE won.wins_back = lost.key)"""  # noqa: S608 constants
_CHARGED: Final = (charges.c.outcome == "charged", charges.c.reversed_at.is_(None), charges.c.wins_back.is_(None))
"""A charge that a bank may reverse."""


class SimulatedGateway:
    """A payment gateway that moves no money (see portal/gateways/payment/protocol.py)."""

    is_simulated = True

    def __init__(self, settings: Settings) -> None:
        self.secrets = settings.secret_keys

    def offered_methods(self) -> Sequence[OfferedMethod]:
        return OFFERED

    def is_known(self, token: str) -> bool:
        return token in BY_TOKEN

    def save_card(self, card: str) -> SavedCard | None:
        """Store a test card under a new token. Returns None for an unknown card, or if the gateway is unavailable."""
        test_card = BY_TOKEN.get(card)
        if test_card is None:
            return None
        token = f"pm_{secrets.token_hex(16)}"
        try:
            with db.engine.begin() as connection:
                connection.execute(insert(cards).values(token=token, card=card, created_at=clock.now()))
        except SQLAlchemyError:
            log.warning("gateway.no_answer", exc_info=True)
            return None
        return SavedCard(token, test_card.brand, test_card.last4)

    def charge(self, key: str, amount: int, currency: str, token: str) -> Outcome:
        """Charge `amount` minor units under `key`, at most once for all calls with that key. Never raises."""
        try:
            card = _card(token)
            effect = card.charge if card else "declined"
            if effect == "lost_not_charged":
                return UNKNOWN
            if effect == "slow":
                time.sleep(SLOW)
            code = None if effect in ("charged", "lost_charged", "slow") else effect
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                new = connection.execute(
                    _CHARGE,
                    {
                        "key": key,
                        "amount": amount,
                        "currency": currency,
                        "token": card.token if card else token,
                        "outcome": "declined" if code else "charged",
                        "decline_code": code,
                        "reference": _reference("ch"),
                        "created_at": clock.now(),
                    },
                ).one_or_none()
                row = new or connection.execute(_query(charges, key)).one()
        except SQLAlchemyError:
            log.warning("gateway.no_answer", key=key, exc_info=True)
            return UNKNOWN
        return UNKNOWN if effect == "lost_charged" else _outcome(row)

    def look_up(self, key: str) -> Outcome:
        """The current outcome of a charge. The key stays open. Never raises."""
        return _current_outcome(charges, key)

    def resolve(self, key: str) -> Outcome:
        """The final outcome of the charge under `key`. Never raises.

        A key without a charge is closed in the same statement, so a charge that arrives later is declined.
        """
        return _final_outcome(charges, key, "not_charged", "ch")

    def refund(self, key: str, charge_key: str, amount: int) -> Outcome:
        """Refund `amount` minor units of a charge under `key`, at most once. Never raises.

        Declines with `no_such_charge`, with `charge_reversed` if the bank reversed the charge, and with `over_refunded`
        if the refunds would exceed the charge.
        """
        try:
            with db.engine.begin() as connection:
                charged = connection.execute(
                    select(charges).where(charges.c.key == charge_key, charges.c.outcome == "charged").with_for_update()
                ).one_or_none()
                card = BY_TOKEN.get(charged.token) if charged is not None else None
                effect = card.refund if card else "refund_refused"
                if effect == "lost_not_done":
                    return UNKNOWN
                code = _decline_code(connection, charged, amount, effect)
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
                row = connection.execute(_query(refunds, key)).one()
        except SQLAlchemyError:
            log.warning("gateway.no_answer", key=key, exc_info=True)
            return UNKNOWN
        return UNKNOWN if effect == "lost_done" else _outcome(row)

    def look_up_refund(self, key: str) -> Outcome:
        """The current outcome of a refund. The key stays open. Never raises."""
        return _current_outcome(refunds, key)

    def resolve_refund(self, key: str) -> Outcome:
        """The final outcome of the refund under `key`. A key without a refund is closed. Never raises."""
        return _final_outcome(refunds, key, "not_refunded", "re")

    def bounce(self, key: str, amount: int | None = None) -> bool:
        """Reverse a charge, as a bank does. Returns False if no such charge exists, or if it is reversed already.

        Money that was won back is never reversed again.
        `amount` is the amount that the bank takes back, in minor units: by default what refunds left of the charge.
        """
        with db.engine.begin() as connection:
            reversed_key = connection.execute(
                update(charges)
                .where(charges.c.key == key, *_CHARGED)
                .values(reversed_at=clock.now(), reversed_amount=_left() if amount is None else amount)
                .returning(charges.c.key)
            )
            return reversed_key.scalar() is not None

    def win(self, key: str, amount: int | None = None) -> str | None:
        """Give the money of a reversed charge back, as a bank does when the dispute about it was won.

        `amount` is in minor units: by default, and at most, what the bank took. Returns the key of that money; None if
        the charge is not reversed, or if its money came back already.
        """
        with db.engine.begin() as connection:
            lost = connection.execute(_query(charges, key)).one_or_none()
            if lost is None or not 0 < (amount or lost.reversed_amount or 0) <= (lost.reversed_amount or 0):
                return None
            return _give_back(connection, lost, amount or lost.reversed_amount)

    def unacknowledged(self, limit: int, after: str | None = None) -> list[str]:
        """Keys of reversed charges and of won disputes that Qist has not acknowledged, oldest first, at most `limit`.

        The first page reverses the due charges to the bouncing cards before, and wins the due disputes. `after` is the
        last key of the previous page.
        """
        if after is None:
            _bounce_due_charges()
            _win_due_disputes()
        position = _CHANGED_AT, charges.c.key
        untold = or_(charges.c.reversed_at.is_not(None), charges.c.wins_back.is_not(None))
        query = select(charges.c.key).where(charges.c.told_at.is_(None), untold)
        if after is not None:
            query = query.where(tuple_(*position) > select(*position).where(charges.c.key == after).scalar_subquery())
        with db.engine.begin() as connection:
            return list(connection.execute(query.order_by(*position).limit(limit)).scalars())

    def reversals_query(self) -> str | None:
        return _REVERSALS

    def acknowledge(self, key: str) -> None:
        """Mark the reversal or the won dispute under this key as recorded by Qist."""
        with db.engine.begin() as connection:
            connection.execute(update(charges).where(charges.c.key == key).values(told_at=clock.now()))

    def callback_key(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The key in the body `{"key": ...}`, if the header Qist-Signature signs it."""
        signature = headers.get(signatures.HEADER, "")
        if not any(signatures.is_signed(secret, body, signature) for secret in self.secrets):
            raise BadSignature()
        try:
            key = json.loads(body)["key"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UnreadableCallback() from None
        if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]{1,64}", key):
            raise UnreadableCallback()
        return key

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers of a callback with this body, signed at this instant."""
        return {signatures.HEADER: signatures.sign(self.secrets[0], body)}

    def check(self, connection: Connection) -> Sequence[tuple[str, int]]:
        counts = connection.execute(text(checks.SQL)).one()
        return [(rule, int(count)) for rule, count in zip(checks.RULES, counts, strict=True)]


def _bounce_due_charges() -> None:
    """Reverse charges to the bouncing cards that are BOUNCES_AFTER old, at most BOUNCES_AT_ONCE of them."""
    now = clock.now()
    with db.engine.begin() as connection:
        due = (
            select(charges.c.key)
            .where(charges.c.token.in_(BOUNCING), *_CHARGED, charges.c.created_at <= now - BOUNCES_AFTER)
            .order_by(charges.c.created_at)
            .limit(BOUNCES_AT_ONCE)
        )
        connection.execute(
            update(charges).where(charges.c.key.in_(due)).values(reversed_at=now, reversed_amount=_left())
        )


def _win_due_disputes() -> None:
    """Give the money of the winning card back that was reversed BOUNCES_AFTER ago, at most BOUNCES_AT_ONCE times."""
    won = charges.alias("won")
    with db.engine.begin() as connection:
        due = (
            select(charges)
            .where(charges.c.token == WINNING, charges.c.reversed_amount > 0)
            .where(charges.c.reversed_at <= clock.now() - BOUNCES_AFTER)
            .where(~select(won.c.key).where(won.c.wins_back == charges.c.key).exists())
            .order_by(charges.c.reversed_at)
            .limit(BOUNCES_AT_ONCE)
        )
        for lost in connection.execute(due).all():
            _give_back(connection, lost, lost.reversed_amount)


def _give_back(connection: Connection, lost: Row[Any], amount: int) -> str | None:
    """Write the money that came back of a reversed charge. Returns its key; None if it came back already."""
    won = insert(charges).values(
        key=f"won_{secrets.token_hex(16)}",
        amount=amount,
        currency=lost.currency,
        token=lost.token,
        outcome="charged",
        reference=_reference("dp"),
        created_at=clock.now(),
        wins_back=lost.key,
    )
    return connection.execute(
        won.on_conflict_do_nothing(index_elements=["wins_back"]).returning(charges.c.key)
    ).scalar()


def _card(token: str) -> Card | None:
    """The test card of a token, which may be a saved card's."""
    if token in BY_TOKEN:
        return BY_TOKEN[token]
    with db.engine.begin() as connection:
        card = connection.execute(select(cards.c.card).where(cards.c.token == token)).scalar()
    return BY_TOKEN.get(card or "")


def _decline_code(connection: Connection, charged: Row[Any] | None, amount: int, effect: str) -> str | None:
    """The decline code of a refund, or None if it can be made."""
    if charged is None:
        return "no_such_charge"
    if charged.reversed_at is not None:
        return "charge_reversed"
    refunded = connection.execute(
        select(func.coalesce(func.sum(refunds.c.amount), 0)).where(
            refunds.c.charge_key == charged.key, refunds.c.outcome == "refunded"
        )
    ).scalar_one()
    if refunded + amount > charged.amount:
        return "over_refunded"
    return None if effect in ("refunded", "lost_done") else effect


def _current_outcome(table: Table, key: str) -> Outcome:
    try:
        with db.engine.begin() as connection:
            row = connection.execute(_query(table, key)).one_or_none()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return UNKNOWN if row is None else _outcome(row)


def _final_outcome(table: Table, key: str, code: str, prefix: str) -> Outcome:
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
            row = connection.execute(_query(table, key)).one()
    except SQLAlchemyError:
        log.warning("gateway.no_answer", key=key, exc_info=True)
        return UNKNOWN
    return _outcome(row)


def _query(table: Table, key: str) -> Select[Any]:
    """The row of a charge or a refund."""
    return select(table).where(table.c.key == key)


def _left() -> ColumnElement[int]:
    """The part of a charge that its refunds have left, in minor units."""
    refunded = select(func.coalesce(func.sum(refunds.c.amount), 0)).where(
        refunds.c.charge_key == charges.c.key, refunds.c.outcome == "refunded"
    )
    return charges.c.amount - refunded.scalar_subquery()


def _outcome(row: Row[Any]) -> Outcome:
    if row.outcome == "refunded":
        return Outcome("succeeded", row.reference, charged_at=row.created_at)
    if row.outcome != "charged":
        return Outcome("declined", row.reference, row.decline_code)
    return Outcome(
        "succeeded",
        row.reference,
        charged_at=row.created_at,
        reversed_at=row.reversed_at,
        reversed_amount=row.reversed_amount,
        wins_back=row.wins_back,
        amount=row.amount if row.wins_back else None,
    )


def _reference(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
