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
    @rule(which=places, source=places, bounces=st.booleans())
    def ask_the_gateway(self, which: int, source: int, bounces: bool) -> None:
        """The bank takes a payment back, or not, and the merchant asks."""
        plan = self.pick(which)
        settled = [money for money in plan.payments if money.state != "in_flight" and not money.waiting]
        if not settled or plan.in_flight:
            return
        money = settled[source % len(settled)]
        can_bounce = (
            money.state == "succeeded" and money.is_gateways and money.refunded < money.amount and not money.won
        )
        if bounces and can_bounce:
            assert gateway.active().bounce(self.key_of(money))
        is_back = (bounces and can_bounce) or money.state == "reversed"
        code = "" if is_back else "not_reversed_by_gateway"
        result = self.ask(code, reversals.ask_gateway, money.id, actor=people.owner(self.amal))
        if result and money.state == "succeeded":
            plan.take_back(money, "reversed")

    @precondition(lambda self: any(money.state == "reversed" for plan in self.plans for money in plan.payments))
    @rule(which=places, source=places, part=permille)
    def win_a_dispute(self, which: int, source: int, part: int) -> None:
        """The bank gives money of a reversed payment back, and the gateway sends its callback, twice."""
        plan = self.pick(which)
        lost = [money for money in plan.payments if money.state == "reversed" and not money.is_won]
        if not lost or plan.in_flight:
            return
        money = lost[source % len(lost)]
        amount = min(money.reversed, share(money.reversed, part))
        key = gateway.active().win(self.key_of(money), amount)
        for _ in range(2):
            callbacks.update_from_gateway(key)
        plan.win(db.session.scalars(select(Payment.id).where(Payment.gateway_key == key)).one(), money, amount)
        db.session.rollback()

    def key_of(self, money: Money) -> str:
        """The gateway's key of a payment."""
        key = db.session.scalars(select(Payment.gateway_key).where(Payment.id == money.id)).one()
        db.session.rollback()
        assert key
        return key
