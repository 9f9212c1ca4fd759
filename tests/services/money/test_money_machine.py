"""Money is conserved: a state machine calls the service functions in any order and compares them with a model.

After each step all invariants of `qist check` hold, and plan, installments, payments, ledger, dashboard and ageing
agree with the model. A failing run prints its steps. `--hypothesis-seed=N` replays a run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from flask import current_app
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, select

from portal.domain import allocation, clock
from portal.errors import Refused
from portal.extensions import db
from portal.models import Installment, LedgerEntry, LedgerLine, Merchant, Payment, Plan
from portal.reports.merchants import ageing, dashboard, overview, totals
from portal.reports.merchants.overview import Totals
from portal.reports.operations import checks
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import cancellations, credits, proposals, voids, write_offs
from portal.services.agreements import acceptances, disputes
from portal.services.books import totals as folding
from portal.services.payments import callbacks, manual_payments, outcomes, payments, refunds
from portal.services.plans import pairs, plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import agreements, people, servers
from tests.services.money import counted
from tests.services.money.bank_steps import BankSteps
from tests.services.money.ledger_model import PlanModel, weeks
from tests.services.money.model_rows import CHARGES, REFUNDS, Money, Part
from tests.services.money.rescheduling_steps import ReschedulingSteps, permille, places, share

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
cards = st.just("card_ok") | st.sampled_from(sorted(CHARGES))


class MoneyMachine(ReschedulingSteps, BankSteps):
    """Amal and Omar, and up to two plans between them."""

    app: Any = None
    tokens: ClassVar[Mapping[str, str]] = {}
    """The gateway's tokens of the model's cards, where they differ."""

    def __init__(self) -> None:
        super().__init__()
        servers.fresh_database(servers.database_name(), db.engine)
        self.clock = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.amal, self.omar = people.amal(), people.omar()
        self.plans: list[PlanModel] = []
        self.shown_at_month_start = (0, 0)

    def teardown(self) -> None:
        self.clock.stop()
        db.session.remove()

    # Steps

    @precondition(lambda self: len(self.plans) < 2)
    @rule(total=st.integers(4, 9_999), count=st.integers(1, 4), first=st.integers(-40, 10), asks=st.booleans())
    def open_plan(self, total: int, count: int, first: int, asks: bool) -> None:
        start = self.today() + timedelta(days=first)
        new = NewPlan("omar@example.com", total, count, start, "weekly", "A cake")
        if self.plans:
            pairs.allow(self.amal, user_id=self.omar)
        with agreements.acceptance(current_app, "required" if asks else "off"):
            plan_id = plans.open_plan(people.owner(self.amal), new, past_dates=True).plan_id
        waits = asks and not any(plan.accepted for plan in self.plans)
        base, odd = divmod(total, count)
        amounts = [base + (place < odd) for place in range(count)]
        parts = [Part(amount, due) for amount, due in zip(amounts, weeks(start, count), strict=True)]
        self.plans.append(PlanModel(plan_id, parts, waits=waits))

    @precondition(lambda self: self.plans)
    @rule(which=places, place=places, card=cards, part=st.none() | permille, accepts=st.booleans())
    def pay_installment(self, which: int, place: int, card: str, part: int | None, accepts: bool) -> None:
        plan = self.pick(which)
        place %= len(plan.parts)
        row = sorted(people.installments_of(plan.id), key=lambda row: row.id)[place]
        owed = plan.payable()
        chosen = {place: owed[place]} if place in owed else {}
        amount = None if part is None or not chosen else share(chosen[place], part)
        code = plan.ask_pay(chosen, amount)
        code = "already_paid" if code == "nothing chosen" else code
        result = self.ask(code, payments.pay_installment, row.id, amount=amount, **self.payer(card, chosen, accepts))
        if result:
            if accepts:
                plan.accept()
            plan.pay(result.payment_id, card, chosen, amount)

    @precondition(lambda self: self.plans)
    @rule(which=places, choice=st.sampled_from(payments.CHOICES), card=cards, part=permille, accepts=st.booleans())
    def pay_plan(self, which: int, choice: str, card: str, part: int, accepts: bool) -> None:
        plan = self.pick(which)
        chosen = plan.due(self.today()) if choice == "due" else plan.owed()
        amount = share(sum(chosen.values()), part) if choice == "amount" and chosen else None
        code = plan.ask_pay(chosen, amount)
        code = "nothing_due" if code == "nothing chosen" else code
        payer = self.payer(card, chosen, accepts)
        result = self.ask(code, payments.pay_plan, plan.id, choice=choice, amount=amount, **payer)
        if result:
            if accepts:
                plan.accept()
            plan.pay(result.payment_id, card, chosen, amount)

    @precondition(lambda self: self.plans)
    @rule(which=places)
    def accept(self, which: int) -> None:
        plan = self.pick(which)
        code = "" if plan.accepted or plan.state == "active" else "nothing_owed"
        if self.ask(code, acceptances.accept, plan.id, customer_id=self.omar, accepting=agreements.ACCEPTING):
            plan.accept()

    @precondition(lambda self: self.plans)
    @rule(which=places)
    def dispute(self, which: int) -> None:
        plan = self.pick(which)
        if self.ask(plan.ask_dispute(), disputes.dispute, plan.id, customer_id=self.omar):
            plan.disputed = plan.was_disputed = True

    @precondition(lambda self: self.plans)
    @rule(which=places, method=st.sampled_from(["cash", "transfer"]), part=permille)
    def record(self, which: int, method: str, part: int) -> None:
        plan = self.pick(which)
        owed = sum(plan.owed().values())
        amount = share(owed, part)
        code = self.busy(plan) or plan.unsettled() or self.over(owed, amount, "nothing_owed")
        result = self.ask(
            code,
            manual_payments.record,
            plan.id,
            actor=people.owner(self.amal),
            amount=amount,
            method=method,
            received_on=self.today(),
            shown=owed,
        )
        if result:
            plan.record(result.payment_id, method, amount)

    @precondition(lambda self: self.plans)
    @rule(which=places, source=st.none() | places, part=permille)
    def refund(self, which: int, source: int | None, part: int) -> None:
        plan = self.pick(which)
        sources = plan.payments
        if source is not None and sources:
            sources = [sources[source % len(sources)]]
        if any(money.taken and money.method in REFUNDS for money in sources):
            return  # what becomes of them depends on which came first, the bank or the refund
        limit = sum(money.refundable for money in sources)
        amount = share(limit, part)
        code = self.busy(plan) or self.over(limit, amount, "nothing_to_refund")
        chosen = sources[0].id if source is not None and sources else None
        result = self.ask(
            code, refunds.refund, plan.id, amount=amount, payment_id=chosen, shown=limit, **self.seller("Broken")
        )
        if result:
            plan.refund(sources, amount)

    @precondition(lambda self: self.plans)
    @rule(which=places, how=st.sampled_from(allocation.HOW), part=permille)
    def credit(self, which: int, how: str, part: int) -> None:
        plan = self.pick(which)
        amount = share(plan.remaining, part)
        code = self.busy(plan) or plan.unsettled() or self.over(plan.remaining, amount, "nothing_owed")
        shown = plan.remaining
        result = self.ask(code, credits.credit, plan.id, amount=amount, how=how, shown=shown, **self.seller("Late"))
        if result:
            plan.credit(amount, how)

    @precondition(lambda self: self.plans)
    @rule(which=places)
    def write_off(self, which: int) -> None:
        plan = self.pick(which)
        code = self.busy(plan) or plan.unsettled() or ("" if plan.remaining else "nothing_owed")
        if self.ask(code, write_offs.write_off, plan.id, shown=plan.remaining, **self.seller("Moved away")):
            plan.write_off()

    @precondition(lambda self: self.plans)
    @rule(which=places, part=st.none() | permille)
    def cancel(self, which: int, part: int | None) -> None:
        plan = self.pick(which)
        limit = sum(money.refundable for money in plan.payments)
        if any(money.taken and money.method in REFUNDS for money in plan.payments):
            part = None
        back = 0 if part is None or not limit else share(limit, part)
        code = self.busy(plan)
        if not code and plan.cancelled:
            code = "plan_cancelled"
        elif not code and not plan.remaining:
            code = "nothing_owed"
        elif not code and back > limit:
            code = "too_much"
        figures = {"shown": plan.remaining, "shown_refundable": limit}
        if self.ask(code, cancellations.cancel, plan.id, refund=back, **figures, **self.seller("Sold out")):
            plan.cancel(back)

    @precondition(lambda self: any(plan.payments for plan in self.plans))
    @rule(which=places, source=places)
    def void(self, which: int, source: int) -> None:
        plan = self.pick(which)
        if plan.payments:
            money = plan.payments[source % len(plan.payments)]
            code = self.busy(plan) or self.not_voidable(money)
            if self.ask(code, voids.void, money.id, **self.seller("Written down twice")):
                plan.take_back(money, "voided")

    @rule(days=st.sampled_from([0, 1, 6, 31]))
    def time_passes(self, days: int) -> None:
        """The clock moves, the sweeps run, and the gateway sends its callbacks."""
        arrival = clock.now() + timedelta(days=days, seconds=31)
        month = clock.midnight(totals.month_after(self.today().replace(day=1)), servers.ZONE)
        while month <= arrival:
            self.traveller.move_to(month)
            home = self.overview()
            self.shown_at_month_start = (home.outstanding, home.overdue_installments)
            month = clock.midnight(totals.month_after(self.today()), servers.ZONE)
        self.traveller.move_to(arrival)
        outcomes.settle_unknown_payments()
        refunds.settle_unknown_refunds()
        proposals.end_lapsed()
        for plan in self.plans:
            plan.settle()
        callbacks.deliver_due()
        self.lapse()
        for plan in self.plans:
            for money in plan.payments:
                is_bounced = money.bounces and money.state == "succeeded" and money.amount > money.refunded
                if money.taken or is_bounced:
                    plan.take_back(money, "reversed", money.taken or None)

    @rule()
    def fold(self) -> None:
        folding.fold(self.amal)

    # Invariants

    @invariant()
    def checks_hold(self) -> None:
        assert [check for check in checks.run() if check[1]] == []

    @invariant()
    def rows_agree_with_the_model(self) -> None:
        db.session.rollback()
        db.session.expire_all()
        for plan in self.plans:
            plan.note_changes()
            row = db.session.get_one(Plan, plan.id)
            assert self.shown_proposal(row) == (plan.proposal and (plan.proposal.id, plan.proposal.state(clock.now())))
            assert (row.state, row.counted, row.disputed) == (plan.state, plan.counted, plan.is_disputed)
            assert row.status == plan.status(self.today())
            assert (row.accepted_at is not None) == plan.accepted
            rows = db.session.scalars(
                select(Installment).where(Installment.plan_id == plan.id).order_by(Installment.id)
            )
            assert [
                (row.amount, row.paid, row.credited, row.written_off, row.moved, row.cancelled_at is not None, row.held)
                for row in rows
            ] == [
                (part.amount, part.paid, part.credited, part.written_off, part.moved, part.cancelled, plan.held(place))
                for place, part in enumerate(plan.parts)
            ]
            payment_rows = db.session.scalars(select(Payment).where(Payment.plan_id == plan.id).order_by(Payment.id))
            assert [
                (row.id, row.amount, row.state, row.refunded, row.refunding, row.reversed) for row in payment_rows
            ] == [
                (money.id, money.amount, money.state, money.refunded, sum(money.waiting), money.reversed)
                for money in plan.payments
            ]
            lines = select(LedgerLine.account, func.sum(LedgerLine.amount)).join(LedgerEntry)
            books = db.session.execute(lines.where(LedgerEntry.plan_id == plan.id).group_by(LedgerLine.account)).all()
            assert {account: amount for account, amount in books if amount} == {
                account: amount for account, amount in plan.books.items() if amount
            }
            shown = plan_figures(plan.id)
            assert (shown.remaining, shown.kept) == (plan.remaining, plan.kept)
            assert shown.refundable == sum(money.refundable for money in plan.payments)
            assert shown.owed == sum(plan.owed().values())

    @invariant()
    def reports_agree_with_the_model(self) -> None:
        merchant = db.session.get_one(Merchant, self.amal)
        figures = dashboard.figures(merchant).home
        old = ageing.ageing(merchant).home
        remaining = sum(plan.remaining for plan in self.plans if plan.counted)
        assert figures.collected == sum(plan.kept for plan in self.plans)
        assert figures.outstanding == old.outstanding == remaining
        home = self.overview()
        count = counted.figures(self.amal, home.currency)
        assert {name: getattr(home, name) for name in count} == count
        assert [month.expected for month in home.months] == counted.expected(self.amal, home.currency, home)
        assert (home.outstanding_before, home.overdue_before) == self.shown_at_month_start
        assert old.not_due + old.days_1_30 + old.days_31_60 + old.days_61_90 + old.days_over_90 == remaining
        db.session.rollback()

    # Helpers

    def pick(self, which: int) -> PlanModel:
        return self.plans[which % len(self.plans)]

    def overview(self) -> Totals:
        """The figures of the dashboard in the home currency."""
        db.session.rollback()
        return overview.overview(db.session.get_one(Merchant, self.amal)).home

    def today(self):
        return people.today_of(self.amal)

    def payer(self, card: str, chosen: dict[int, int], accepts: bool) -> dict[str, Any]:
        method, accepting = self.tokens.get(card, card), agreements.ACCEPTING if accepts else None
        shown = sum(chosen.values()) if chosen else None
        return {"customer_id": self.omar, "method": method, "shown": shown, "accepting": accepting}

    def seller(self, reason: str) -> dict[str, Any]:
        return {"actor": people.owner(self.amal), "reason": reason}

    def busy(self, plan: PlanModel) -> str:
        return "payment_in_flight" if plan.in_flight else ""

    def over(self, limit: int, amount: int, nothing: str) -> str:
        if not limit:
            return nothing
        return "too_much" if amount > limit else ""

    def not_voidable(self, money: Money) -> str:
        if money.is_gateways:
            return "not_voidable"
        return "not_voidable" if money.state != "succeeded" or money.refunded == money.amount else ""

    def ask(self, code: str | None, verb: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the service function. It must refuse with `code`, or succeed without one."""
        db.session.rollback()
        if not code:
            return verb(*args, **kwargs)
        with pytest.raises(Refused) as refused:
            verb(*args, **kwargs)
        assert refused.value.code == code
        return None


def run(app, runs: int, steps: int, machine: type[MoneyMachine] = MoneyMachine) -> None:
    """Run the machine `runs` times with `steps` steps."""
    run_settings = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    with app.app_context():
        run_state_machine_as_test(machine, settings=run_settings)


@pytest.mark.parametrize("runs", [6, pytest.param(15, marks=pytest.mark.long)])
def test_money_is_conserved_in_any_order_of_steps(app, database, runs):
    run(app, runs=runs, steps=25)


@pytest.mark.proof
@pytest.mark.parametrize("part", range(20))
def test_money_is_conserved_in_a_thousand_runs(app, database, part):
    """In parts, which run side by side."""
    run(app, runs=50, steps=50)
