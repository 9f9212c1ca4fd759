"""Write a plan's ledger entries. Called inside a unit of work; never commits.

Debits are positive and credits negative, in minor units of the plan's currency. The balances of a plan: receivable is
the remaining amount, credits equal those of its installments, bad debt less recoveries what is written off. The money
received and kept is on the account of its method: cash, bank, or clearing for what the gateway collected. Of a plan
that is not counted only the money is booked, against prepayments. Refunds payable are the refunds in flight.
`reason_id` is the id of a typed text (services/texts).

An entry is booked on the local date of its value instant, in the business's time zone as it is then: the charge, the
day that cash was received, the gateway's refund, the bounce; for every other act the press. While the books are closed
over that date it is booked on the first open day and keeps the date as `value_on`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from portal.domain import clock
from portal.domain.chart import COLLECTED, Account, EntryKind
from portal.extensions import session
from portal.models import Payment, Plan, Refund

_ENTRY: Final = """
    books# AS (
        SELECT booking.value_on, merchants.books_closed_until + 1 AS opens_on
        FROM merchants, LATERAL (
            SELECT coalesce(%s::date, (%s::timestamptz AT TIME ZONE merchants.time_zone)::date) AS value_on
        ) AS booking
        WHERE merchants.id = %s FOR KEY SHARE OF merchants
    ), entry# AS (
        INSERT INTO ledger_entries (merchant_id, plan_id, kind, recorded_at, payment_id, refund_id, reason_id,
                                    created_by, collected_currency, collected, booked_on, value_on)
        SELECT %s, %s, %s, %s, %s::bigint, %s::bigint, %s::bigint, %s::bigint, %s::varchar, %s::bigint,
               greatest(value_on, opens_on),
               CASE WHEN opens_on > value_on THEN value_on END
        FROM books#
        RETURNING id
    ), lines# AS (
        INSERT INTO ledger_lines (entry_id, account, currency, amount)
        SELECT entry#.id, line.account, %s, line.amount
        FROM entry#, unnest(%s::varchar[], %s::bigint[]) WITH ORDINALITY AS line (account, amount, place)
        ORDER BY place
    )
"""
"""An entry with its lines. The lock on the business makes a closing of its books and a booking wait for one another."""


@dataclass(slots=True)
class Effects:
    """The parts of an amount that was taken back: owed again, written off again, void with its cancelled plan.

    `rest` is the part that had paid nothing, because the charge exceeded the amount owed. `owed_again` are the parts of
    `reopened`: (installment id, minor units).
    """

    reopened: int = 0
    written_off: int = 0
    cancelled: int = 0
    rest: int = 0
    owed_again: list[tuple[int, int]] = field(default_factory=list)


def book_plan(plan: Plan, *, paid: int = 0, refunded: int = 0, by: int | None) -> None:
    """The customer owes the total: sales up, receivable up by what is unpaid.

    `paid` was paid before the plan counted, and `refunded` of it went back or is asked back: prepayments down, refunds
    up.
    """
    _book("plan_opened", plan, _opening(plan, paid, refunded), created_by=by)


def unbook_plan(plan: Plan, *, paid: int, refunded: int) -> None:
    """The plan counts no longer: the opposite of `book_plan`, with what is paid, refunded and asked back by now."""
    lines = {account: -amount for account, amount in _opening(plan, paid, refunded).items()}
    _book("plan_undone", plan, lines, created_by=None)


def _opening(plan: Plan, paid: int, refunded: int) -> dict[str, int]:
    return {
        "receivable": plan.total - paid,
        "prepayments": paid - refunded,
        "refunds": refunded,
        "sales": -plan.total,
    }


def book_payment(
    plan: Plan,
    payment: Payment,
    *,
    recovered: int = 0,
    restored: int = 0,
    excess: int = 0,
    reason_id: int | None,
) -> None:
    """Money came in: its account up, receivable down. `recovered` was written off before; `excess` was not owed.

    `restored` had become void when the bank took it back, and the bank gave it back: credits down.
    """
    lines = {
        money_account(payment.method): payment.amount,
        _owed(plan): -(payment.amount - recovered - restored - excess),
        "recoveries": -recovered,
        "credits": -restored,
        "overpayments": -excess,
    }
    on = payment.received_on or payment.value_at
    _book("payment", plan, lines, on, payment_id=payment.id, reason_id=reason_id, created_by=payment.created_by)


def begin_refund(plan: Plan, refund: Refund) -> None:
    """A refund is asked of the gateway: refunds up, or overpayments down when the money was not owed; payable up."""
    lines = {_returned(plan, refund): refund.amount, "refunds_payable": -refund.amount}
    _book_refund("refund_begun", plan, refund, lines, None)


def book_refund(plan: Plan, payment: Payment, refund: Refund, refunded_at: datetime | None) -> None:
    """Money went back: its account down; payable down, or refunds up when no gateway was asked.

    `refunded_at` is the gateway's instant of the refund; without one it is the instant of the outcome.
    """
    account = _returned(plan, refund) if refund.gateway_key is None else "refunds_payable"
    lines = {account: refund.amount, money_account(payment.method): -refund.amount}
    _book_refund("refund", plan, refund, lines, refunded_at or refund.settled_at)


def decline_refund(plan: Plan, refund: Refund) -> None:
    """A refund that was asked for is not made: the opposite of `begin_refund`, with the plan as it counts now."""
    lines = {"refunds_payable": refund.amount, _returned(plan, refund): -refund.amount}
    _book_refund("refund_declined", plan, refund, lines, None)


def _returned(plan: Plan, refund: Refund) -> str:
    """The account that a refund is booked against."""
    return "overpayments" if refund.excess else "refunds" if plan.counted else "prepayments"


def _book_refund(kind: EntryKind, plan: Plan, refund: Refund, lines: dict[str, int], on: datetime | None) -> None:
    _book(kind, plan, lines, on, refund_id=refund.id, reason_id=refund.reason_id, created_by=refund.created_by)


def book_credit(plan: Plan, amount: int, *, by: int, reason_id: int | None) -> None:
    """A credit: credits up, receivable down."""
    _book("credit", plan, {"credits": amount, "receivable": -amount}, reason_id=reason_id, created_by=by)


def book_cancellation(plan: Plan, amount: int, *, by: int | None, reason_id: int | None) -> None:
    """The unpaid rest is void: credits up, receivable down. Nothing is booked of a plan that is not counted."""
    if plan.counted:
        _book("cancellation", plan, {"credits": amount, "receivable": -amount}, reason_id=reason_id, created_by=by)


def book_write_off(plan: Plan, amount: int, *, by: int, reason_id: int | None) -> None:
    """The unpaid rest is written off: bad debt up, receivable down."""
    _book("write_off", plan, {"bad_debt": amount, "receivable": -amount}, reason_id=reason_id, created_by=by)


def book_reversal(plan: Plan, payment: Payment, effects: Effects) -> None:
    """The bank took a payment back: clearing down by all that it took. What it took beyond the payment is a loss."""
    taken = -(payment.reversed + payment.lost)
    lines = _taken_back(plan, effects) | {money_account(payment.method): taken, "losses": payment.lost}
    _book("reversal", plan, lines, payment.reversed_at, payment_id=payment.id, created_by=None)


def book_returned_loss(plan: Plan, payment: Payment, at: datetime) -> None:
    """The bank gave back what it had taken beyond the payment: clearing up, losses down. `at` is its instant."""
    lines: dict[str, int] = {money_account(payment.method): payment.regained, "losses": -payment.regained}
    _book("loss_returned", plan, lines, at, payment_id=payment.id, created_by=None)


def book_void(plan: Plan, payment: Payment, effects: Effects, *, by: int, reason_id: int | None) -> None:
    """A recorded payment was a mistake: cash or bank down."""
    lines = _taken_back(plan, effects) | {money_account(payment.method): -payment.reversed}
    _book("void", plan, lines, payment_id=payment.id, reason_id=reason_id, created_by=by)


def _taken_back(plan: Plan, effects: Effects) -> dict[str, int]:
    """Receivable up by what is owed again, credits by what is void again; recoveries down by what is written off again.

    A plan that is not counted only held the money: prepayments down.
    """
    if not plan.counted:
        held = effects.reopened + effects.written_off + effects.cancelled
        return {"prepayments": held, "overpayments": effects.rest}
    return {
        "receivable": effects.reopened,
        "recoveries": effects.written_off,
        "credits": effects.cancelled,
        "overpayments": effects.rest,
    }


def _owed(plan: Plan) -> str:
    """The account that a payment lowers."""
    return "receivable" if plan.counted else "prepayments"


def money_account(method: str) -> Account:
    """The account of money that came by this method of a payment."""
    return "cash" if method == "cash" else "bank" if method == "transfer" else "clearing"


def _book(
    kind: EntryKind,
    plan: Plan,
    lines: dict[str, int],
    on: date | datetime | None = None,
    *,
    created_by: int | None,
    payment_id: int | None = None,
    refund_id: int | None = None,
    reason_id: int | None = None,
) -> None:
    """Queue the entry. `on` is its local date or its value instant; without it, the entry is of this instant."""
    now = clock.now()
    day = on if isinstance(on, date) and not isinstance(on, datetime) else None
    accounts = {account: amount for account, amount in lines.items() if amount}
    moved = [amount for account, amount in accounts.items() if account in COLLECTED]
    collected = (plan.currency, sum(moved)) if moved else (None, None)
    entry = (plan.merchant_id, plan.id, kind, now, payment_id, refund_id, reason_id, created_by, *collected)
    money = (plan.currency, list(accounts), list(accounts.values()))
    own = session()
    if own.queue.parts:  # entries have the order of their ids
        own.flush()
    own.queue.add_part(_ENTRY, (day, now if on is None else on, plan.merchant_id, *entry, *money))
