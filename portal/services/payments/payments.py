"""Pay: hold the payment, charge it at the gateway, record the outcome (payments/outcomes.py).

The first commit writes the payment in flight. The gateway is called with no transaction open. A second commit books
the outcome. A process that is killed in between leaves a payment in flight, and `outcomes.settle_unknown_payments`
asks the gateway about its key.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import BigInteger, Select, bindparam, select

from portal import queue
from portal.domain import allocation, clock
from portal.domain.money import Money
from portal.domain.terms import Accepting
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db, session
from portal.gateways import payment as gateway
from portal.models import Installment, Payment, Plan
from portal.models.plans.invitations import LinkKind
from portal.services import idempotency, row_facts
from portal.services.agreements import acceptances
from portal.services.idempotency import RequestKey
from portal.services.payments import contention, outcomes, preconditions
from portal.services.payments.outcomes import PaymentDeclined, PaymentMade, PaymentPending
from portal.services.plans import plan_status
from portal.services.results import Pending
from portal.services.unit_of_work import unit_of_work, unsure_from_here

Choice = Literal["due", "all", "amount"]
CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)

Owed = list[tuple[Installment, int]]
"""Installments by number, each with its payable amount in minor units."""


Paid = PaymentMade | PaymentDeclined | PaymentPending
"""The results of a payment."""


_WRITTEN: Final = (
    *("plan_id", "merchant_id", "customer_id", "currency", "amount", "state", "method", "automatic", "link"),
    *("gateway_key", "created_by", "created_at", "updated_at"),
)
_PAYMENT: Final = f"""
    payment# AS (
        INSERT INTO payments ({", ".join(_WRITTEN)}) VALUES ({", ".join(["%s"] * len(_WRITTEN))})
        RETURNING id
    ), parts# AS (
        INSERT INTO allocations (payment_id, installment_id, amount, state)
        SELECT payment#.id, part.installment_id, part.amount, 'held'
        FROM payment#, unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS part (installment_id, amount, place)
        ORDER BY place
    )
"""  # noqa: S608 names of this file
_ATTACH: Final = """
    attached# AS (
        UPDATE idempotency_keys SET payment_id = payment#.id FROM payment#
        WHERE (idempotency_keys.user_id, idempotency_keys.scope, idempotency_keys.key) = (%s, %s, %s)
    )
"""


_PLAN: Final = Plan.locking(bindparam("plan_id", type_=BigInteger))
_PLAN_OF_INSTALLMENT: Final = Plan.locking(
    select(Installment.plan_id)
    .where(Installment.id == bindparam("installment_id"), Installment.customer_id == bindparam("customer_id"))
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class _Locked:
    """The statement that locks the plan, with its values."""

    query: Select[Plan]
    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Held(Pending):
    """The payment in flight, and the arguments of the gateway's charge: plain values, so no transaction stays open."""

    pending: PaymentPending
    key: str
    amount: int
    currency: str
    token: str


def pay_installment(
    installment_id: int,
    *,
    customer_id: int,
    shown: int | None,
    method: str,
    amount: int | None = None,
    accepting: Accepting | None = None,
    request_key: RequestKey | None = None,
) -> Paid:
    """Pay the remaining amount of one installment, or `amount` of it, before or after its due date.

    Amounts are minor units of the plan's currency. `shown` is the remaining amount that the form showed (None: accept
    any). A written-off amount may be paid too, as a recovery. `method` is a token that the gateway knows, such as a
    test card, or a saved method's. With `accepting` the customer accepts the plan in the same commit, before the
    payment; a payment by the pay link has none.

    Refuses: not_found; merchant_deactivated; unknown_method; plan_cancelled; already_paid; amount_changed and too_much
    (facts: remaining); Invalid on amount; payment_in_flight (facts: payment_id); idempotency_key_reused; still_running;
    busy.
    """

    def choose(plan: Plan, owed: Owed) -> Owed:
        row, payable = next(((row, size) for row, size in owed if row.id == installment_id), (None, 0))
        if row is None:
            raise Refused("already_paid", about="installment")
        _check_shown(shown, payable, plan)
        return _take([(row, payable)], payable if amount is None else amount, plan)

    plan = _Locked(_PLAN_OF_INSTALLMENT, {"installment_id": installment_id, "customer_id": customer_id})
    return _pay(plan, choose, customer_id, method, request_key, accepting=accepting)


def pay_plan(
    plan_id: int,
    *,
    customer_id: int,
    choice: Choice,
    shown: int | None,
    method: str,
    amount: int | None = None,
    accepting: Accepting | None = None,
    link: LinkKind | None = None,
    request_key: RequestKey | None = None,
) -> Paid:
    """Pay everything due by the plan's local date, all that remains, or an amount, the oldest installment first.

    `shown` is a figure of the form in minor units: for "due" and "all" the amount on the button, for "amount" the
    remaining total. On a plan with nothing remaining, "all" and "amount" pay the written-off amount. `link` is the kind
    of the plan's link by which somebody pays without an account.

    Refuses: every refusal of `pay_installment`, and nothing_due.
    """
    if choice not in CHOICES:
        raise Invalid(Fault("choice", "bad_choice"))

    def choose(plan: Plan, owed: Owed) -> Owed:
        owed = [(row, size) for row, size in owed if row.left > 0] or owed
        if choice == "due":
            owed = [(row, size) for row, size in owed if row.left > 0 and row.due_date <= plan.today]
            if not owed:
                raise Refused("nothing_due", about="payment")
        total = sum(size for _, size in owed)
        _check_shown(shown, total, plan)
        if choice == "amount" and amount is None:
            raise Invalid(Fault("amount", "required"))
        return _take(owed, total if amount is None or choice != "amount" else amount, plan)

    plan = _Locked(_PLAN, {"plan_id": plan_id})
    return _pay(plan, choose, customer_id, method, request_key, accepting=accepting, link=link)


def collect(plan_id: int, *, customer_id: int, method: str, choose: Callable[[Plan, Owed], Owed]) -> Paid:
    """Start an automatic payment of the part of the owed amounts that `choose` returns (payments/automatic.py).

    `choose` runs inside the transaction that starts the payment, after the plan is locked. It never waits for another
    payment's outcome. Refuses: every refusal of `pay_plan`.
    """
    return _pay(_Locked(_PLAN, {"plan_id": plan_id}), choose, customer_id, method, None, automatic=True)


def _pay(
    locked: _Locked,
    choose: Callable[[Plan, Owed], Owed],
    customer_id: int,
    method: str,
    request_key: RequestKey | None,
    *,
    accepting: Accepting | None = None,
    link: LinkKind | None = None,
    automatic: bool = False,
) -> Paid:
    def start() -> _Held | PaymentMade | PaymentDeclined:
        return _start(locked, choose, customer_id, method, accepting, link, automatic, request_key=request_key)

    started = start() if automatic else contention.waiting(start)
    if not isinstance(started, _Held):
        return started
    outcome = gateway.active().charge(started.key, started.amount, started.currency, started.token)
    payment_id = started.pending.payment_id
    with unsure_from_here():
        if (recorded := outcomes.record_outcome(payment_id, outcome)) is not None:
            return recorded
        queue.enqueue("settle_payment", payment_id)
        contention.mark_unanswered(payment_id)
    return started.pending


@unit_of_work
def _start(
    locked: _Locked,
    choose: Callable[[Plan, Owed], Owed],
    customer_id: int,
    method: str,
    accepting: Accepting | None,
    link: LinkKind | None,
    automatic: bool,
    *,
    request_key: RequestKey | None,
) -> _Held | PaymentMade | PaymentDeclined:
    """Lock the plan, check the amounts again, and write a payment in flight. A repeated request gets its result."""
    plan = db.session.scalar(locked.query, locked.values)
    if plan is None or plan.customer_id != customer_id:  # the plan's email was corrected meanwhile
        raise NotFound()
    rows, in_flight = contention.lock_rows(plan)
    owed = [(row, row.payable) for row in rows if row.payable > 0]
    _check_payable(plan, owed, in_flight, customer_id, method)
    chosen = choose(plan, owed)
    if accepting is not None:
        acceptances.accept_locked(plan, rows, accepting, way="payment")
    Installment.follow_held(chosen)
    if plan in db.session.dirty:
        plan_status.follow_rows(plan, rows)
    return _hold(plan, chosen, method, customer_id, request_key, link, automatic)


def _check_payable(plan: Plan, owed: Owed, in_flight: contention.InFlight, customer_id: int, method: str) -> None:
    if in_flight.merchant_is_deactivated:
        raise Refused("merchant_deactivated", about="payment")
    if not preconditions.is_usable(customer_id, method):
        raise Refused("unknown_method", about="payment")
    if plan.cancelled_at is not None or (plan.state == "cancelled" and not owed):
        raise Refused("plan_cancelled", about="payment")
    if not owed:
        raise Refused("already_paid", about="plan")
    in_flight.refuse()


def _check_shown(shown: int | None, owed: int, plan: Plan) -> None:
    if shown is not None and shown != owed:
        raise Refused("amount_changed", about="payment", limit=Money(owed, plan.currency), remaining=owed)


def _take(owed: Owed, amount: int, plan: Plan) -> Owed:
    """`amount` minor units of the owed amounts, the oldest installment first."""
    if amount < 1:
        raise Invalid(Fault("amount", "bad_amount", about="zero"))
    total = sum(size for _, size in owed)
    if amount > total:
        raise Refused("too_much", about="payment", limit=Money(total, plan.currency), remaining=total)
    rows = {row.id: row for row, _ in owed}
    parts = allocation.oldest_first([(row.id, size) for row, size in owed], amount)
    return [(rows[row_id], size) for row_id, size in parts]


def _hold(
    plan: Plan,
    parts: Sequence[tuple[Installment, int]],
    method: str,
    by: int,
    request_key: RequestKey | None,
    link: LinkKind | None,
    automatic: bool,
) -> _Held:
    """Write a payment in flight that holds these parts (minor units) of these installments."""
    key, now = f"qist_{secrets.token_hex(16)}", clock.now()
    payment = Payment(
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=sum(amount for _, amount in parts),
        state="in_flight",
        method=method,
        automatic=automatic,
        link=link,
        gateway_key=key,
        created_by=by,
        created_at=now,
        updated_at=now,
        refunded=0,
        refunding=0,
        lost=0,
        regained=0,
        reversed=0,
        notes={},
    )
    payment.id = _write(payment, parts, request_key)
    if request_key is not None:
        idempotency.mark_attached(request_key)
    facts = row_facts.new_payment(payment, [(row.id, amount) for row, amount in parts])
    only = row_facts.of_changed_installment(parts[0][0]) if len(parts) == 1 else None
    return _Held(PaymentPending(facts, only), key, payment.amount, payment.currency, method)


def _write(payment: Payment, parts: Sequence[tuple[Installment, int]], request_key: RequestKey | None) -> int:
    """Write the payment with its held allocations, and tie the request's key to it, in one statement.

    Returns the payment's id.
    """
    values: list[Any] = [getattr(payment, name) for name in _WRITTEN]
    values += [row.id for row, _ in parts], [amount for _, amount in parts]
    ctes = _PAYMENT
    if request_key is not None:
        ctes += f", {_ATTACH}"
        values += request_key.user_id, request_key.scope, request_key.key
    own = session()
    own.queue.add_part(ctes, values)
    return int(own.write_queue("(SELECT id FROM payment#)"))
