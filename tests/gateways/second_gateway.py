"""A second payment gateway: its own cards, tokens, callbacks and record, in memory. It counts as one that moves money.

A card is named after its last four digits. `installed` makes it an application's gateway for a test.
"""

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import Connection, text

from portal.domain import clock
from portal.gateways.payment import (
    UNKNOWN,
    BadSignature,
    OfferedMethod,
    Outcome,
    SavedCard,
    UnreadableCallback,
    active,
)
from portal.gateways.payment import install as install_gateway

SECRET = "a secret of the second gateway"
HEADER = "X-Second-Gateway"
RULE = "The second gateway and Qist record the same money"
BOUNCES_AFTER = timedelta(seconds=30)


@dataclass(frozen=True)
class Card:
    """The effect of a card on a charge and on a refund: ok, silent (done, no response), lost (not done), or a code."""

    last4: str
    charge: str = "ok"
    refund: str = "ok"


GOOD, EMPTY, REFUSED, SILENT, LOST, BOUNCING = (
    "mada:1111", "mada:2222", "mada:3333", "mada:4444", "mada:5555", "mada:6666",
)  # fmt: skip
NO_REFUNDS, SILENT_REFUND, LOST_REFUND = "mada:7777", "mada:8888", "mada:9999"
CARDS = {
    GOOD: Card("1111"),
    EMPTY: Card("2222", "insufficient_funds"),
    REFUSED: Card("3333", "do_not_honour"),
    SILENT: Card("4444", "silent"),
    LOST: Card("5555", "lost"),
    BOUNCING: Card("6666"),
    NO_REFUNDS: Card("7777", refund="not_supported"),
    SILENT_REFUND: Card("8888", refund="silent"),
    LOST_REFUND: Card("9999", refund="lost"),
}


@dataclass
class Record:
    """A charge, a refund of the charge `of`, or a closed key. A code means declined."""

    token: str
    amount: int
    code: str | None
    at: datetime
    of: str = ""
    reversed_at: datetime | None = None
    reversed_amount: int | None = None
    acknowledged: bool = False
    wins_back: str | None = None


class SecondGateway:
    """Implements portal.gateways.payment.PaymentGateway."""

    is_simulated = False

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.vault: dict[str, str] = {}
        self.lock = threading.RLock()

    def offered_methods(self) -> Sequence[OfferedMethod]:
        return [OfferedMethod(token, "mada", card.last4) for token, card in CARDS.items()]

    def is_known(self, token: str) -> bool:
        return token in CARDS

    def save_card(self, token: str) -> SavedCard | None:
        with self.lock:
            saved = f"vault/{secrets.token_hex(8)}"
            self.vault[saved] = token
            return SavedCard(saved, "mada", CARDS[token].last4)

    def charge(self, key: str, amount: int, currency: str, token: str) -> Outcome:
        card = CARDS.get(self.vault.get(token, token), Card("", "unknown_token"))
        if card.charge == "lost":
            return UNKNOWN
        code = None if card.charge in ("ok", "silent") else card.charge
        outcome = self._once(key, Record(self.vault.get(token, token), amount, code, clock.now()))
        return UNKNOWN if card.charge == "silent" else outcome

    def look_up(self, key: str) -> Outcome:
        with self.lock:
            return self._outcome(key) if key in self.records else UNKNOWN

    def resolve(self, key: str) -> Outcome:
        return self._once(key, Record("", 0, "not_charged", clock.now()))

    def refund(self, key: str, charge_key: str, amount: int) -> Outcome:
        with self.lock:
            charged = self.records.get(charge_key)
            card = CARDS.get(charged.token if charged else "", Card("", refund="no_such_charge"))
            if card.refund == "lost":
                return UNKNOWN
            code = None if card.refund in ("ok", "silent") else card.refund
            if charged is not None and charged.reversed_at is not None:
                code = "charge_reversed"
            elif charged is not None and self._refunded(charge_key) + amount > charged.amount:
                code = "over_refunded"
            outcome = self._once(key, Record("", amount, code, clock.now(), of=charge_key))
            return UNKNOWN if card.refund == "silent" else outcome

    def look_up_refund(self, key: str) -> Outcome:
        return self.look_up(key)

    def resolve_refund(self, key: str) -> Outcome:
        return self._once(key, Record("", 0, "not_refunded", clock.now(), of="-"))

    def callback_key(self, body: bytes, headers: Mapping[str, str]) -> str:
        if headers.get(HEADER) != SECRET:
            raise BadSignature()
        kind, _, key = body.decode().partition(" ")
        if kind != "changed" or not key:
            raise UnreadableCallback()
        return key

    def unacknowledged(self, limit: int, after: str | None = None) -> Sequence[str]:
        with self.lock:
            for key, record in self.records.items():
                if record.token == BOUNCING and record.at <= clock.now() - BOUNCES_AFTER:
                    self.bounce(key)
            waiting = [
                key
                for key, record in self.records.items()
                if (record.reversed_at or record.wins_back) and not record.acknowledged
            ]
            start = 0 if after is None else waiting.index(after) + 1
            return waiting[start : start + limit]

    def reversals_query(self) -> str | None:
        return None

    def acknowledge(self, key: str) -> None:
        self.records[key].acknowledged = True

    def check(self, connection: Connection) -> Sequence[tuple[str, int]]:
        """A charge, refund, acknowledged reversal or won dispute whose amount differs between both records.

        Those whose outcome is unknown to us may differ.
        """
        rows = connection.execute(
            text(
                "SELECT own.gateway_key, own.state, own.amount + coalesce(won.regained, 0), own.reversed + own.lost "
                "FROM payments AS own LEFT JOIN payments AS won ON won.id = own.wins_back_id "
                "WHERE own.gateway_key IS NOT NULL "
                "UNION ALL SELECT gateway_key, state, amount, 0 FROM refunds WHERE gateway_key IS NOT NULL"
            )
        ).all()
        ours = {
            key: int(amount - taken) if state in ("succeeded", "reversed") else 0 for key, state, amount, taken in rows
        }
        waiting = {key for key, state, *_ in rows if state == "in_flight"}
        booked = {key for key, state, *_ in rows if state == "reversed"}
        with self.lock:
            theirs = {
                key: record.amount - (record.reversed_amount or 0 if record.acknowledged or key in booked else 0)
                for key, record in self.records.items()
                if record.code is None and (record.wins_back is None or record.acknowledged or key in ours)
            }
        keys = {*ours, *theirs} - waiting
        return [(RULE, sum(ours.get(key, 0) != theirs.get(key, 0) for key in keys))]

    def win(self, key: str, amount: int | None = None) -> str | None:
        """Give the money of a reversed charge back. Returns the key of that money; None if there is nothing to give."""
        with self.lock:
            lost = self.records[key]
            if not lost.reversed_amount or any(record.wins_back == key for record in self.records.values()):
                return None
            won = f"won/{secrets.token_hex(8)}"
            amount = lost.reversed_amount if amount is None else amount
            self.records[won] = Record(lost.token, amount, None, clock.now(), wins_back=key)
            return won

    def bounce(self, key: str, amount: int | None = None) -> bool:
        """Reverse a charge, as a bank does: by default what refunds left of it. False if it is reversed already."""
        with self.lock:
            record = self.records[key]
            if record.code is not None or record.reversed_at is not None or record.wins_back is not None:
                return False
            record.reversed_at = clock.now()
            record.reversed_amount = record.amount - self._refunded(key) if amount is None else amount
            return True

    def signed(self, key: str) -> tuple[bytes, dict[str, str]]:
        """The body and the headers of a callback about this key."""
        return f"changed {key}".encode(), {HEADER: SECRET}

    def _once(self, key: str, record: Record) -> Outcome:
        with self.lock:
            self.records.setdefault(key, record)
            return self._outcome(key)

    def _outcome(self, key: str) -> Outcome:
        record = self.records[key]
        if record.code is not None:
            return Outcome("declined", f"second-{key}"[:64], record.code)
        if record.of:
            return Outcome("succeeded", f"second-{key}"[:64], charged_at=record.at)
        return Outcome(
            "succeeded",
            f"second-{key}"[:64],
            charged_at=record.at,
            reversed_at=record.reversed_at,
            reversed_amount=record.reversed_amount,
            wins_back=record.wins_back,
            amount=record.amount if record.wins_back else None,
        )

    def _refunded(self, charge_key: str) -> int:
        return sum(record.amount for record in self.records.values() if record.of == charge_key and record.code is None)


@contextmanager
def installed(app: Flask) -> Iterator[SecondGateway]:
    """The application has a new second gateway. The document of the API, which is built once, is built again."""
    gateway = SecondGateway()
    with app.app_context():
        before = active()
    app.extensions.pop("openapi", None)
    install_gateway(app, gateway)
    try:
        yield gateway
    finally:
        install_gateway(app, before)
        app.extensions.pop("openapi", None)
