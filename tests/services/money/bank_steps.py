"""Steps of the money machine that a bank makes: it takes a payment back, or not, and gives it back."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import select

from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Payment
from portal.services.payments import callbacks, reversals
from tests.fixtures import people
from tests.services.money.ledger_model import PlanModel
from tests.services.money.model_rows import Money
from tests.services.money.rescheduling_steps import permille, places, share


class BankSteps(RuleBasedStateMachine):
    """Mixed into the money machine, which has the plans and the parties."""

    @precondition(lambda self: self.bounceable())
    @rule(source=places, part=st.none() | permille)
    def bounce(self, source: int, part: int | None) -> None:
        """The bank takes a payment back, and the merchant asks. The gateway may tell it later.

        The bank takes what refunds have left of the charge, or an amount of its own, such as the whole charge.
        """
        among = self.bounceable()
        plan, money = among[source % len(among)]
        taken = money.left_at_bank if part is None else min(money.amount, share(money.amount, part))
        if taken:
            assert gateway.active().bounce(self.key_of(money), None if part is None else taken)
            money.taken = taken
        self.ask_about(plan, money)

    @precondition(lambda self: any(plan.payments for plan in self.plans))
    @rule(which=places, source=places)
    def ask_the_gateway(self, which: int, source: int) -> None:
        """The merchant asks about any payment."""
        plan = self.pick(which)
        settled = [money for money in plan.payments if money.state != "in_flight"]
        if settled:
            self.ask_about(plan, settled[source % len(settled)])

    def ask_about(self, plan: PlanModel, money: Money) -> None:
        code = "" if money.taken or money.state == "reversed" else "not_reversed_by_gateway"
        if money.taken:
            code = self.busy(plan) or ("refund_in_flight" if money.waiting else "")
        result = self.ask(code, reversals.ask_gateway, money.id, actor=people.owner(self.amal))
        if result and money.taken:
            plan.take_back(money, "reversed", money.taken)

    def bounceable(self) -> list[tuple[PlanModel, Money]]:
        """The payments that the gateway's bank may take back now."""
        return [(plan, money) for plan in self.plans for money in plan.payments if self.can_bounce(money)]

    def can_bounce(self, money: Money) -> bool:
        is_charged = money.state == "succeeded" and money.is_gateways and not money.won and not money.taken
        return is_charged and not (money.bounces and money.refunded == money.amount)

    @precondition(lambda self: self.winnable())
    @rule(source=places, part=permille)
    def win_a_dispute(self, source: int, part: int) -> None:
        """The bank gives money of a reversed payment back, and the gateway sends its callback, twice."""
        among = self.winnable()
        plan, money = among[source % len(among)]
        taken = money.reversed + money.lost
        amount = min(taken, share(taken, part))
        key = gateway.active().win(self.key_of(money), amount)
        for _ in range(2):
            callbacks.update_from_gateway(key)
        payment_id = db.session.scalars(select(Payment.id).where(Payment.gateway_key == key)).one_or_none()
        plan.win(payment_id, money, amount)
        db.session.rollback()

    def winnable(self) -> list[tuple[PlanModel, Money]]:
        """The reversed payments about which a dispute may be won now."""
        plans = [plan for plan in self.plans if not plan.in_flight]
        lost = [(plan, money) for plan in plans for money in plan.payments if money.state == "reversed"]
        return [(plan, money) for plan, money in lost if not money.is_won]

    def key_of(self, money: Money) -> str:
        """The gateway's key of a payment."""
        key = db.session.scalars(select(Payment.gateway_key).where(Payment.id == money.id)).one()
        db.session.rollback()
        assert key
        return key
