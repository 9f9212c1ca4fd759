"""Steps of the money machine that a bank makes: it takes a payment back, or not, and gives it back."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import select

from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Payment
from portal.services.payments import callbacks, reversals
from tests.fixtures import people
from tests.services.money.model_rows import Money
from tests.services.money.rescheduling_steps import permille, places, share


class BankSteps(RuleBasedStateMachine):
    """Mixed into the money machine, which has the plans and the parties."""

    @precondition(lambda self: any(plan.payments for plan in self.plans))
    @rule(which=places, source=places, bounces=st.booleans(), part=st.none() | permille)
    def ask_the_gateway(self, which: int, source: int, bounces: bool, part: int | None) -> None:
        """The bank takes a payment back, or not, and the merchant asks.

        It takes what refunds have left of the charge, or an amount of its own, such as the whole charge.
        """
        plan = self.pick(which)
        settled = [money for money in plan.payments if money.state != "in_flight"]
        if not settled:
            return
        money = settled[source % len(settled)]
        taken = money.left_at_bank if part is None else min(money.amount, share(money.amount, part))
        if bounces and taken and self.can_bounce(money):
            assert gateway.active().bounce(self.key_of(money), None if part is None else taken)
            money.taken = taken
        code = "" if money.taken or money.state == "reversed" else "not_reversed_by_gateway"
        if money.taken:
            code = self.busy(plan) or ("refund_in_flight" if money.waiting else "")
        result = self.ask(code, reversals.ask_gateway, money.id, actor=people.owner(self.amal))
        if result and money.taken:
            plan.take_back(money, "reversed", money.taken)

    def can_bounce(self, money: Money) -> bool:
        """Whether the gateway's bank may take this payment back now."""
        is_charged = money.state == "succeeded" and money.is_gateways and not money.won and not money.taken
        return is_charged and not (money.bounces and money.refunded == money.amount)

    @precondition(lambda self: any(money.state == "reversed" for plan in self.plans for money in plan.payments))
    @rule(which=places, source=places, part=permille)
    def win_a_dispute(self, which: int, source: int, part: int) -> None:
        """The bank gives money of a reversed payment back, and the gateway sends its callback, twice."""
        plan = self.pick(which)
        lost = [money for money in plan.payments if money.state == "reversed" and not money.is_won]
        if not lost or plan.in_flight:
            return
        money = lost[source % len(lost)]
        taken = money.reversed + money.lost
        amount = min(taken, share(taken, part))
        key = gateway.active().win(self.key_of(money), amount)
        for _ in range(2):
            callbacks.update_from_gateway(key)
        payment_id = db.session.scalars(select(Payment.id).where(Payment.gateway_key == key)).one_or_none()
        plan.win(payment_id, money, amount)
        db.session.rollback()

    def key_of(self, money: Money) -> str:
        """The gateway's key of a payment."""
        key = db.session.scalars(select(Payment.gateway_key).where(Payment.id == money.id)).one()
        db.session.rollback()
        assert key
        return key
