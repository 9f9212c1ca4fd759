"""Acts on money in every order, on one and two installments, over midnights and month ends, against a model."""

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import func, select, update

from portal.domain import clock
from portal.domain.chart import COLLECTED
from portal.extensions import db
from portal.models import Installment, LedgerEntry, LedgerLine, Merchant, Payment
from portal.reports.books import balances, movements
from portal.reports.books.movements import MovementFilters
from portal.reports.merchants import ageing, dashboard, overview, totals
from portal.reports.operations import checks
from portal.reports.payments import statements
from portal.services.adjustments import cancellations, credits, reschedules, voids, write_offs
from portal.services.adjustments.reschedules import NewTerms
from portal.services.payments import manual_payments, outcomes, payments, refunds
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.services.books.orders_model import Model, Row

ACTS = ("pay", "part", "lost", "cash", "credit", "write_off", "cancel", "refund", "void", "bounce", "shift", "loss")
"""A bounce takes what refunds left of a charge, a loss the whole charge."""
TAKEN = ("part", "refund", "loss")
"""The acts before those that end with, or begin with, money won back: a part was paid, refunded in part, and taken."""
ZONES = ("Asia/Riyadh", "Pacific/Auckland", "America/New_York", "Pacific/Apia", "Asia/Kathmandu")
TOTALS = {"KWD": 10_001, "SAR": 100_01, "JPY": 1_001}
PLAIN = [((), *order, count) for order in itertools.permutations(ACTS, 3) for count in (1, 2)]
WON = [
    (TAKEN, *order, count) for order in itertools.permutations((*ACTS, "win"), 3) for count in (1, 2) if "win" in order
]
ORDERS = PLAIN + WON
"""Every order of three acts, on one and on two installments, and with "win" after TAKEN; 3,432 sequences."""
CHOSEN = [
    *random.Random(7).sample(PLAIN, 45),
    *random.Random(7).sample(WON, 13),
    ((), "pay", "refund", "loss", 1),
    ((), "part", "refund", "loss", 2),
]


class Scene:
    """One plan of the services beside its model."""

    def __init__(self, zone: str, currency: str, count: int) -> None:
        self.amal, self.omar, self.zone = people.amal(), people.omar(), zone
        db.session.execute(update(Merchant).values(home_currency=currency, time_zone=zone, updated_at=clock.now()))
        db.session.commit()
        self.total = TOTALS[currency]
        base, rest = divmod(self.total, count)
        self.model = Model([Row(base + (place < rest), due=28 * place) for place in range(count)])
        new = NewPlan("omar@example.com", self.total, count, self.today, "monthly", "A cake")
        self.plan = plans.open_plan(people.owner(self.amal), new, past_dates=True).plan_id
        self.ids: list[int] = []
        self.unanswered: list[int] = []

    @property
    def today(self) -> date:
        return clock.today(self.zone)

    def act(self, name: str) -> None:
        """Carry an act out on both sides, if the model says that it is possible."""
        self.settle()
        model, owner, today = self.model, people.owner(self.amal), self.today
        owed = sum(model.payable().values())
        match name:
            case "pay" | "part" if owed:
                amount = owed if name == "pay" else min(owed, self.total * 2 // 5)
                paid = payments.pay_plan(
                    self.plan, customer_id=self.omar, choice="amount", amount=amount, shown=None, method="card_ok"
                )
                self.ids.append(paid.payment_id)
                model.pay(today, amount, by_card=True)
            case "lost" if owed:
                amount = min(owed, self.total // 3)
                lost = payments.pay_plan(
                    self.plan,
                    customer_id=self.omar,
                    choice="amount",
                    amount=amount,
                    shown=None,
                    method="card_lost_charged",
                )
                self.ids.append(lost.payment_id)
                self.unanswered.append(lost.payment_id)
                model.pay(today, amount, by_card=True)
            case "shift" if model.left:
                terms = NewTerms("shift", days=3)
                reschedules.reschedule(self.plan, actor=owner, terms=terms, reason="Salary")
                model.shift(3)
            case "cash" if owed:
                amount = min(owed, self.total // 4)
                recorded = manual_payments.record(
                    self.plan, actor=owner, amount=amount, method="cash", received_on=today
                )
                self.ids.append(recorded.payment_id)
                model.pay(today, amount, by_card=False)
            case "credit" if model.left:
                amount = min(model.left, self.total // 10)
                credits.credit(self.plan, actor=owner, amount=amount, how="last", reason="Sorry")
                model.credit(amount)
            case "write_off" if model.left:
                write_offs.write_off(self.plan, actor=owner, reason="Gone")
                model.write_off()
            case "cancel" if model.left:
                cancellations.cancel(self.plan, actor=owner, reason="Sold out")
                model.cancel()
            case "refund" if model.kept:
                amount = min(model.kept, self.total // 5)
                refunds.refund(self.plan, actor=owner, amount=amount, reason="Torn")
                model.refund(today, amount)
            case "void" | "bounce":
                pairs = zip(self.ids, model.received, strict=True)
                mine = [
                    pair for pair in pairs if pair[1].kept and pair[1].by_card == (name == "bounce") and not pair[1].won
                ]
                if mine:
                    payment_id, payment = mine[-1]
                    if name == "void":
                        voids.void(payment_id, actor=owner, reason="Written twice")
                    else:
                        people.bounce(payment_id)
                    model.take_back(today, payment)
            case "loss":
                pairs = zip(self.ids, model.received, strict=True)
                cards = [pair for pair in pairs if pair[1].by_card and not pair[1].gone and not pair[1].won]
                if cards:
                    payment_id, payment = cards[-1]
                    people.bounce(payment_id, payment.amount)
                    model.take_back(today, payment, payment.amount)
            case "win":
                pairs = zip(self.ids, model.received, strict=True)
                gone = [pair for pair in pairs if pair[1].by_card and pair[1].gone and not pair[1].given_again]
                if gone:
                    payment_id, payment = gone[-1]
                    key = people.win(payment_id)
                    self.ids += db.session.scalars(select(Payment.id).where(Payment.gateway_key == key))
                    model.win(today, payment)
        db.session.rollback()

    def settle(self) -> None:
        """The gateway answers a payment at the next act, which may be on the next day. It was charged at the press."""
        while self.unanswered:
            outcomes.settle_payment(self.unanswered.pop())
            db.session.rollback()

    def compare(self) -> None:
        model, plan = self.model, people.plan_of(self.plan)
        query = select(Installment).where(Installment.plan_id == self.plan).order_by(Installment.id)
        rows = db.session.scalars(query.execution_options(populate_existing=True)).all()
        assert [
            (row.amount, row.paid, row.credited, row.written_off, row.moved, row.cancelled_at is not None, row.held)
            for row in rows
        ] == [(row.amount, row.paid, row.credited, row.written_off, row.moved, row.cancelled, 0) for row in model.rows]
        wanted = "active" if model.left else "completed" if model.kept and not model.cancelled else "cancelled"
        assert plan.state == wanted
        for row in rows:
            assert (row.paid_at is not None) == (row.status == "paid")
        statement = statements.statement(plan)
        assert (statement.closing, statement.kept) == (model.left, model.kept)
        collected = select(LedgerEntry.booked_on, func.sum(LedgerLine.amount)).join(LedgerLine)
        collected = collected.where(LedgerLine.account.in_(COLLECTED)).group_by(LedgerEntry.booked_on)
        booked = {day: int(amount) for day, amount in db.session.execute(collected) if amount}
        assert booked == {day: amount for day, amount in model.booked.items() if amount}
        losses = select(func.coalesce(func.sum(LedgerLine.amount), 0)).where(LedgerLine.account == "losses")
        assert db.session.scalar(losses) == model.losses
        shop, owner = db.session.get_one(Merchant, self.amal), people.owner(self.amal)
        home = overview.overview(shop).home
        for month in home.months:
            days = [amount for day, amount in model.booked.items() if day.replace(day=1) == month.first]
            assert month.collected == sum(days)
            last = totals.month_after(month.first) - timedelta(days=1)
            assert sum(row.amount for row in movements.sums(owner, MovementFilters(month.first, last)).rows) == sum(
                days
            )
        figures = dashboard.figures(shop).home
        assert figures.outstanding == home.outstanding == ageing.ageing(shop).home.outstanding == model.left
        assert figures.collected == model.kept
        (trial,) = balances.trial_balance(owner, self.today)
        assert sum(balance.amount for balance in trial.balances) == 0 and trial.outstanding == model.left


def run(order: tuple[tuple[str, ...], str, str, str, int], number: int) -> None:
    """The acts begin ten seconds before a local midnight, at a month's end for every other sequence."""
    before, *acts, count = order
    zone, currency = ZONES[number % len(ZONES)], tuple(TOTALS)[number % len(TOTALS)]
    last_day = date(2026, 3, 31) if number % 2 else date(2026, 3, 17)
    start = datetime.combine(last_day, datetime.max.time(), ZoneInfo(zone)).astimezone(UTC) - timedelta(seconds=10)
    with time_machine.travel(start, tick=False) as now:
        scene = Scene(zone, currency, count)
        for act in before:
            scene.act(act)
        for step, act in enumerate(acts):
            now.move_to(start + timedelta(seconds=8 * step))
            scene.act(act)
        now.move_to(start + timedelta(seconds=8 * len(acts)))
        scene.settle()
        scene.compare()
    assert [check for check in checks.run() if check[1]] == []


def name_of(order: tuple[tuple[str, ...], str, str, str, int]) -> str:
    before, *acts = order
    return "-".join([*before, *map(str, acts)])


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=name_of(order), marks=[] if number % 7 < 3 else pytest.mark.long)
        for number, order in enumerate(CHOSEN)
    ],
)
def test_an_order_of_three_acts(context: object, number: int) -> None:
    run(CHOSEN[number], number)


@pytest.mark.proof
@pytest.mark.parametrize("number", range(len(ORDERS)), ids=lambda number: name_of(ORDERS[number]))
def test_every_order_of_three_acts(context: object, number: int) -> None:
    run(ORDERS[number], number)
