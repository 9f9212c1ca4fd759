"""Installments and payments of the model of a plan's money, and what becomes of the test cards."""

from dataclasses import dataclass, field
from datetime import date

CHARGES = {
    "card_ok": "ok",
    "card_declined": "declined",
    "card_insufficient_funds": "declined",
    "card_lost_charged": "lost_done",
    "card_lost_not_charged": "lost_not_done",
    "card_reversed_later": "ok",
    "card_refund_declined": "ok",
    "card_refund_lost_done": "ok",
    "card_refund_lost_not_done": "ok",
}
REFUNDS = {
    "card_refund_declined": "declined",
    "card_refund_lost_done": "lost_done",
    "card_refund_lost_not_done": "lost_not_done",
}


@dataclass
class Part:
    """An installment."""

    amount: int
    due: date
    paid: int = 0
    credited: int = 0
    written_off: int = 0
    cancelled: bool = False
    moved: int = 0

    @property
    def left(self) -> int:
        return self.amount - self.paid - self.credited - self.written_off - self.moved


@dataclass
class Money:
    """A payment: its parts by installment, and its outcome.

    `taken` is what the bank took back and the product has not recorded. `reversed` is the part of it that had been
    kept, `lost` the rest. `voided` is what its reversal made void of a cancelled plan. `won`: it is what the bank gave
    back of another, of which `excess` was refunded, or is asked back, because it was owed no more. It is `going_back`
    while the gateway has not said what came of that refund. `is_won`: of this one, it came back.
    """

    id: int
    method: str
    amount: int
    held: dict[int, int]
    state: str = "in_flight"
    applied: dict[int, int] = field(default_factory=dict)
    refunded: int = 0
    recovered: dict[int, int] = field(default_factory=dict)
    taken: int = 0
    reversed: int = 0
    lost: int = 0
    bounces: bool = False
    waiting: list[int] = field(default_factory=list)
    voided: dict[int, int] = field(default_factory=dict)
    won: bool = False
    is_won: bool = False
    excess: int = 0
    going_back: int = 0

    @property
    def is_gateways(self) -> bool:
        return self.method in CHARGES

    @property
    def left_at_bank(self) -> int:
        """The part of the charge that the gateway's refunds have left, also those whose answer was lost."""
        done = sum(self.waiting) if REFUNDS.get(self.method) == "lost_done" else 0
        return self.amount - self.refunded - done

    @property
    def account(self) -> str:
        """The ledger account of its money."""
        return {"cash": "cash", "transfer": "bank"}.get(self.method, "clearing")

    @property
    def refundable(self) -> int:
        return self.amount - self.refunded - sum(self.waiting) if self.state == "succeeded" else 0
