"""A small model of a plan's money, independent of the product's code. The state machine compares both.

Every figure is a plain integer. `ask_pay` returns the code of the expected refusal, or None.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from tests.services.money.model_rows import CHARGES, REFUNDS, Money, Part


@dataclass
class Proposal:
    """Other days that the customer is asked for: for these open amounts by place, until an instant."""

    id: int
    open: dict[int, int]
    rows: list[tuple[date, int]]
    until: datetime
    ended: str = ""

    def state(self, now: datetime) -> str:
        return self.ended or ("open" if now < self.until else "lapsed")


@dataclass
class PlanModel:
    """A plan. `books` are the balances of its ledger accounts.

    `waits`: the plan needs acceptance, so it is not `counted` until it is accepted or paid in full.
    """

    id: int
    parts: list[Part]
    cancelled: bool = False
    payments: list[Money] = field(default_factory=list)
    books: dict[str, int] = field(default_factory=dict)
    waits: bool = False
    counted: bool = True
    accepted: bool = False
    disputed: bool = False
    was_disputed: bool = False
    proposal: Proposal | None = None

    def __post_init__(self) -> None:
        self.counted = not self.waits
        if self.counted:
            self.open_books(1)

    def open_books(self, sign: int) -> None:
        """Book the plan, with what is paid and refunded by now, or asked back; or the opposite."""
        paid = sum(part.paid for part in self.parts)
        back = sum(money.refunded + sum(money.waiting) - money.excess for money in self.payments)
        self.counted = sign > 0
        lines = {"receivable": self.total - paid, "prepayments": paid - back, "refunds": back, "sales": -self.total}
        self.book(**{account: sign * amount for account, amount in lines.items()})

    def unsettled(self) -> str:
        """The code with which acts of the business are refused."""
        if self.state == "active" and not self.counted:
            return "not_accepted"
        return "disputed" if self.is_disputed else ""

    @property
    def is_disputed(self) -> bool:
        """A payment ends a dispute, and what reopens the plan lets it go on, unless the customer accepted the plan."""
        return self.disputed and self.state == "active"

    def ask_dispute(self) -> str:
        if self.accepted:
            return "already_accepted"
        if self.was_disputed:
            return "already_disputed"
        return "" if self.state == "active" else "nothing_owed"

    def accept(self) -> None:
        if self.accepted or self.state != "active":
            return
        if not self.counted:
            self.open_books(1)
        self.accepted, self.waits, self.disputed = True, False, False

    @property
    def receivable(self) -> str:
        return "receivable" if self.counted else "prepayments"

    @property
    def total(self) -> int:
        return sum(part.amount - part.moved for part in self.parts)

    @property
    def remaining(self) -> int:
        return sum(part.left for part in self.parts)

    @property
    def kept(self) -> int:
        came = [money for money in self.payments if money.state in ("succeeded", "reversed", "voided")]
        return sum(money.amount - money.refunded - money.reversed for money in came)

    @property
    def state(self) -> str:
        if self.remaining:
            return "active"
        kept = self.kept - sum(money.going_back for money in self.payments)
        is_paid = any(part.paid for part in self.parts)
        return "completed" if is_paid and kept and not self.cancelled else "cancelled"

    @property
    def in_flight(self) -> Money | None:
        return next((money for money in self.payments if money.state == "in_flight"), None)

    def held(self, place: int) -> int:
        """The amount of the installment that a payment in flight holds."""
        return self.in_flight.held.get(place, 0) if self.in_flight else 0

    def status(self, today: date) -> str:
        """The plan's status, without grace days: what a payment in flight covers is not late."""
        is_late = any(part.left > self.held(place) and part.due < today for place, part in enumerate(self.parts))
        return "overdue" if is_late and self.counted and not self.is_disputed else self.state

    def open_parts(self) -> dict[int, int]:
        """Place -> what is left of each open installment, in the order in which they are paid."""
        return {place: self.parts[place].left for place in self.by_due() if self.parts[place].left}

    def replace(self, rows: list[tuple[date, int]]) -> None:
        """Close the open installments, and add these dates and amounts for what was left of them."""
        for part in self.parts:
            part.moved += part.left
        self.parts += [Part(amount, due) for due, amount in rows]

    def asks(self, rows: list[tuple[date, int]]) -> bool:
        """Whether these rows, in place of the open ones, would be due earlier or be larger."""
        before = [(self.parts[place].due, left) for place, left in self.open_parts().items()]
        days = {due for due, _ in before + rows}
        owed = [[sum(amount for due, amount in of if due <= day) for day in sorted(days)] for of in (rows, before)]
        return max(amount for _, amount in rows) > max(amount for _, amount in before) or any(
            then > now for then, now in zip(*owed, strict=True)
        )

    def note_changes(self) -> None:
        """A proposal is void for good, once the open amounts are not those that it was made for."""
        if self.proposal and not self.proposal.ended and self.proposal.open != self.open_parts():
            self.proposal.ended = "void"

    def payable(self) -> dict[int, int]:
        """Index of an installment -> what remains of it, else what was written off of it."""
        return {
            place: part.left or part.written_off
            for place, part in enumerate(self.parts)
            if part.left or (part.written_off and not part.cancelled)
        }

    def owed(self) -> dict[int, int]:
        """Index of an installment -> its amount in a payment of the plan: what remains, else what was written off."""
        open_now = {place: part.left for place, part in enumerate(self.parts) if part.left}
        return open_now or self.payable()

    def book(self, **lines: int) -> None:
        assert sum(lines.values()) == 0
        for account, amount in lines.items():
            self.books[account] = self.books.get(account, 0) + amount

    def ask_pay(self, chosen: dict[int, int], amount: int | None) -> str | None:
        """The code of the expected refusal, or None. `chosen` are the payable amounts; `amount` None pays them all."""
        if self.cancelled:
            return "plan_cancelled"
        if not self.payable():
            return "plan_cancelled" if self.state == "cancelled" else "already_paid"
        if self.in_flight:
            return "payment_in_flight"
        if not chosen:
            return "nothing chosen"
        if amount is not None and amount > sum(chosen.values()):
            return "too_much"
        return None

    def pay(self, payment_id: int, card: str, chosen: dict[int, int], amount: int | None) -> None:
        amount = sum(chosen.values()) if amount is None else amount
        money = Money(payment_id, card, amount, self.first(chosen, amount), bounces=card == "card_reversed_later")
        self.payments.append(money)
        match CHARGES[card]:
            case "ok":
                self.arrive(money)
            case "declined":
                money.state = "declined"

    def arrive(self, money: Money) -> None:
        money.state, money.applied = "succeeded", dict(money.held)
        recovered = 0
        for place, share in money.held.items():
            part = self.parts[place]
            again = max(0, share - part.left)
            part.written_off -= again
            part.paid += share
            money.recovered[place] = again
            recovered += again
        self.note_changes()
        self.book(**{money.account: money.amount, self.receivable: recovered - money.amount, "recoveries": -recovered})
        if not self.counted and self.state == "completed":
            self.open_books(1)

    def settle(self) -> None:
        """Settle everything that is in flight, as the gateway's final answer does."""
        for money in self.payments:
            if money.state == "in_flight":
                if CHARGES[money.method] == "lost_done":
                    self.arrive(money)
                else:
                    money.state = "declined"
            for place, amount in enumerate(money.waiting):
                if REFUNDS[money.method] == "lost_done":
                    self._give_back(money, amount)
                elif money.excess and place == 0:
                    self._keep_excess(money)
                else:
                    self._keep(amount)
            money.waiting, money.going_back = [], 0

    def record(self, payment_id: int, method: str, amount: int) -> None:
        money = Money(payment_id, method, amount, self.first(self.owed(), amount))
        self.payments.append(money)
        self.arrive(money)

    def refund(self, sources: list[Money], amount: int) -> None:
        for money in sorted(sources, key=lambda money: -money.id):
            share = min(amount, money.refundable)
            amount -= share
            if share:
                self.book(**{self.returned: share, "refunds_payable": -share})
                match "declined" if money.taken else REFUNDS.get(money.method, "ok"):
                    case "ok":
                        self._give_back(money, share)
                    case "declined":
                        self._keep(share)
                    case "lost_done" | "lost_not_done":
                        money.waiting.append(share)

    @property
    def returned(self) -> str:
        """The account of refunds."""
        return "refunds" if self.counted else "prepayments"

    def _give_back(self, money: Money, amount: int) -> None:
        money.refunded += amount
        self.book(refunds_payable=amount, **{money.account: -amount})

    def _keep(self, amount: int) -> None:
        """A refund that was asked for is not made."""
        self.book(**{"refunds_payable": amount, self.returned: -amount})

    def _keep_excess(self, money: Money) -> None:
        self.book(refunds_payable=money.excess, overpayments=-money.excess)
        money.excess = 0

    def win(self, payment_id: int | None, lost: Money, came: int) -> None:
        """The bank gave money of a reversed payment back: what had been kept first, as a payment, then of the loss.

        What of the payment is owed no more is refunded at once.
        """
        lost.is_won, amount = True, min(came, lost.reversed)
        self.book(**{lost.account: came - amount, "losses": amount - came})
        if amount:
            assert payment_id
            self._pay_again(payment_id, lost, amount)

    def _pay_again(self, payment_id: int, lost: Money, amount: int) -> None:
        rest, restored, shares = amount, 0, dict[int, int]()
        for place in sorted(lost.voided):
            part = self.parts[place]
            share = min(rest - restored, lost.voided[place], part.credited)
            part.credited -= share
            restored += share
            part.cancelled = part.cancelled and not (share and not part.credited)
        order = sorted(self.by_due(), key=lambda place: place not in lost.applied)
        recovered = 0
        for place in order:
            shares[place] = min(self.parts[place].left, rest)
            self.parts[place].paid += shares[place]
            rest -= shares[place]
        for place in order:
            part = self.parts[place]
            share = 0 if part.cancelled else min(part.written_off, rest)
            part.written_off -= share
            part.paid += share
            recovered += share
            rest -= share
        money = Money(payment_id, lost.method, amount, {}, "succeeded", won=True, going_back=rest)
        self.payments.append(money)
        self.note_changes()
        self.book(
            **{money.account: amount, self.receivable: restored + recovered + rest - amount},
            credits=-restored,
            recoveries=-recovered,
            overpayments=-rest,
        )
        if not self.counted and self.state == "completed":
            self.open_books(1)
        if rest:
            money.excess = rest
            self.book(overpayments=rest, refunds_payable=-rest)
            match REFUNDS.get(money.method, "ok"):
                case "ok":
                    money.going_back = 0
                    self._give_back(money, rest)
                case "declined":
                    money.going_back = 0
                    self._keep_excess(money)
                case "lost_done" | "lost_not_done":
                    money.waiting.append(rest)

    def credit(self, amount: int, how: str) -> None:
        self.book(credits=amount, receivable=-amount)
        if how == "last":
            for place in reversed(self.by_due()):
                part = self.parts[place]
                share = min(part.left, amount)
                part.credited += share
                amount -= share
            return
        while amount:
            room = {place: self.parts[place].left for place in self.by_due()}
            sizes = [size for size in room.values() if size]
            level = min(amount // len(sizes), *sizes)
            for place, size in room.items():
                share = min(size, max(level, 1), amount)
                self.parts[place].credited += share
                amount -= share

    def write_off(self) -> None:
        self.book(bad_debt=self.remaining, receivable=-self.remaining)
        for part in self.parts:
            part.written_off += part.left

    def cancel(self, refund: int) -> None:
        if self.counted:
            self.book(credits=self.remaining, receivable=-self.remaining)
        self.cancelled = True
        for part in self.parts:
            if part.left or part.written_off:
                part.credited += part.left
                part.cancelled = True
        if refund:
            self.refund(self.payments, refund)

    def take_back(self, money: Money, state: str, taken: int | None = None) -> None:
        """The bank took the payment back, or the merchant voided it.

        The bank may have `taken` more than was kept, which is a loss, or less.
        """
        kept = money.amount - money.refunded
        taken = kept if taken is None else taken
        back = money.reversed = min(kept, taken)
        money.lost, money.taken, money.state = taken - back, 0, state
        self.book(**{money.account: -taken, self.receivable: back}, losses=money.lost)
        for place in sorted(money.applied):
            share, part = min(back, money.applied[place]), self.parts[place]
            back -= share
            part.paid -= share
            if self.cancelled and share:
                part.credited += share
                part.cancelled = True
                if self.counted:
                    money.voided[place] = share
                    self.book(credits=share, receivable=-share)
            elif not self.cancelled:
                again = min(share, money.recovered[place])
                money.recovered[place] -= again
                part.written_off += again
                self.book(recoveries=again, receivable=-again)
        self.note_changes()
        if self.waits and self.counted and self.remaining:
            self.open_books(-1)

    def due(self, today: date) -> dict[int, int]:
        return {place: part.left for place, part in enumerate(self.parts) if part.left and part.due <= today}

    def by_due(self) -> list[int]:
        """The places of all installments, in the order in which they are paid."""
        return sorted(range(len(self.parts)), key=lambda place: (self.parts[place].due, place))

    def first(self, chosen: dict[int, int], amount: int) -> dict[int, int]:
        """`amount` of the chosen amounts, the oldest due first."""
        shares = {}
        for place in self.by_due():
            share = min(chosen.get(place, 0), amount)
            if share:
                shares[place] = share
                amount -= share
        return shares


def weeks(first: date, count: int) -> list[date]:
    """Weekly due dates. The machine's plans are weekly, so the model needs no calendar."""
    return [first + timedelta(weeks=step) for step in range(count)]
