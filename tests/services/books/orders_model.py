"""A model of one plan's money and books, written from PRODUCT.md's pages on money alone. It imports no service.

Amounts are minor units. `booked` has what was collected by local date of the business.
"""

from dataclasses import dataclass, field
from datetime import date


@dataclass
class Row:
    """An installment. `due` orders the rows of a plan: days from its first due date, about."""

    amount: int
    due: int = 0
    paid: int = 0
    credited: int = 0
    written_off: int = 0
    cancelled: bool = False
    moved: int = 0

    @property
    def left(self) -> int:
        return self.amount - self.paid - self.credited - self.written_off - self.moved


@dataclass
class Received:
    """A payment that came in: its parts by installment, and how much of each had been written off.

    `taken` is what the bank took of it, or what its void took off; `void` what that made void of a cancelled plan.
    `given_again`: the bank gave it back, as a payment that `won`.
    """

    by_card: bool
    parts: dict[int, int]
    recovered: dict[int, int]
    refunded: int = 0
    gone: bool = False
    reversed: int = 0
    taken: int = 0
    void: dict[int, int] = field(default_factory=dict)
    given_again: bool = False
    won: bool = False
    excess: int = 0

    @property
    def amount(self) -> int:
        return sum(self.parts.values()) + self.excess

    @property
    def kept(self) -> int:
        return 0 if self.gone else self.amount - self.refunded


@dataclass
class Model:
    """A plan. Each act returns whether it is possible."""

    rows: list[Row]
    received: list[Received] = field(default_factory=list)
    cancelled: bool = False
    booked: dict[date, int] = field(default_factory=dict)
    losses: int = 0

    @property
    def left(self) -> int:
        return sum(row.left for row in self.rows)

    @property
    def kept(self) -> int:
        return sum(payment.kept for payment in self.received)

    def payable(self) -> dict[int, int]:
        """The payable amount of each installment: what remains, else what was written off, unless it is cancelled."""
        if self.cancelled:
            return {}
        rows = {place: self.rows[place] for place in self.by_due()}
        remaining = {place: row.left for place, row in rows.items() if row.left}
        return remaining or {place: row.written_off for place, row in rows.items() if row.written_off}

    def by_due(self) -> list[int]:
        return sorted(range(len(self.rows)), key=lambda place: (self.rows[place].due, place))

    def book(self, day: date, amount: int) -> None:
        self.booked[day] = self.booked.get(day, 0) + amount

    def pay(self, day: date, amount: int, *, by_card: bool) -> None:
        parts, recovered, left = {}, {}, amount
        for place, size in self.payable().items():
            share = min(size, left)
            if share:
                row = self.rows[place]
                again = max(0, share - row.left)
                row.written_off -= again
                row.paid += share
                parts[place], recovered[place], left = share, again, left - share
        self.received.append(Received(by_card, parts, recovered))
        self.book(day, amount)

    def credit(self, amount: int) -> None:
        for place in reversed(self.by_due()):
            row = self.rows[place]
            share = min(row.left, amount)
            row.credited += share
            amount -= share

    def shift(self, days: int) -> None:
        """Rows of the rest, some days later. The settled part of each row stays."""
        for row in [self.rows[place] for place in self.by_due() if self.rows[place].left]:
            self.rows.append(Row(row.left, row.due + days))
            row.moved += row.left

    def write_off(self) -> None:
        for row in self.rows:
            row.written_off += row.left

    def cancel(self) -> None:
        self.cancelled = True
        for row in self.rows:
            if row.left or row.written_off:
                row.credited += row.left
                row.cancelled = True

    def refund(self, day: date, amount: int) -> None:
        self.book(day, -amount)
        for payment in reversed(self.received):
            share = min(payment.kept, amount)
            payment.refunded += share
            amount -= share

    def take_back(self, day: date, payment: Received, taken: int | None = None) -> None:
        """A bounce or a void: what was not refunded is owed again, void on a cancelled plan, or written off again.

        What the bank took beyond that is a loss. It was not collected, so nothing of it is given back.
        """
        back = payment.reversed = payment.kept
        payment.taken = back if taken is None else taken
        self.losses += payment.taken - back
        self.book(day, -back)
        payment.gone = True
        for place, share in sorted(payment.parts.items()):
            share = min(share, back)
            back -= share
            row = self.rows[place]
            row.paid -= share
            if self.cancelled:
                row.credited += share
                row.cancelled = row.cancelled or share > 0
                payment.void[place] = share
            else:
                row.written_off += min(share, payment.recovered[place])

    def win(self, day: date, lost: Received) -> None:
        """The bank gives all that it took back. What is owed no more is refunded at once, and the loss is none."""
        lost.given_again, rest = True, lost.reversed
        self.losses -= lost.taken - lost.reversed
        for place, share in lost.void.items():
            row = self.rows[place]
            row.credited -= share
            row.cancelled = row.cancelled and not (share and not row.credited)
        parts, recovered = dict[int, int](), dict[int, int]()
        order = sorted(self.by_due(), key=lambda place: place not in lost.parts)
        for place in order:
            row = self.rows[place]
            parts[place] = min(row.left, rest)
            row.paid += parts[place]
            rest -= parts[place]
        for place in order:
            row = self.rows[place]
            recovered[place] = 0 if row.cancelled else min(row.written_off, rest)
            row.written_off -= recovered[place]
            row.paid += recovered[place]
            parts[place] += recovered[place]
            rest -= recovered[place]
        if lost.reversed:
            self.received.append(Received(True, parts, recovered, refunded=rest, won=True, excess=rest))
            self.book(day, lost.reversed - rest)
