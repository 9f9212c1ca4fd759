"""Steps of the money machine that give a plan other days: at once, or proposed to the customer and answered."""

from datetime import date, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from portal.domain import clock
from portal.domain.terms import Consenting
from portal.models import Plan
from portal.reports.plans import proposals as reports
from portal.services.adjustments import proposals, reschedules
from portal.services.adjustments.reschedules import NewTerms, PlanRescheduled
from tests.fixtures import people, servers
from tests.services.money.ledger_model import PlanModel, Proposal, weeks

CONSENTING = Consenting(address="192.0.2.7", language="en", word=lambda facts: f"{facts.plan_id}")
places = st.integers(0, 3)
permille = st.integers(0, 1050)
"""Part of the possible amount; above 1000 it is one minor unit too much."""


def share(of: int, part: int) -> int:
    """At least 1, and `of` + 1 when `part` is above 1000."""
    return of + 1 if part > 1000 else max(1, of * part // 1000)


class ReschedulingSteps(RuleBasedStateMachine):
    """Mixed into the money machine, which has the plans, the parties and the clock."""

    @precondition(lambda self: self.plans)
    @rule(which=places, days=st.integers(-20, 40).filter(bool))
    def shift(self, which: int, days: int) -> None:
        plan = self.pick(which)
        rows = [(plan.parts[place].due + timedelta(days=days), left) for place, left in plan.open_parts().items()]
        self.reschedule(plan, NewTerms("shift", days=days), rows)

    @precondition(lambda self: self.plans)
    @rule(which=places, count=st.integers(1, 3), first=st.integers(0, 20))
    def split(self, which: int, count: int, first: int) -> None:
        plan = self.pick(which)
        base, odd = divmod(plan.remaining, count)
        start = self.today() + timedelta(days=first)
        rows = [(due, base + (place < odd)) for place, due in enumerate(weeks(start, count))]
        if base or not plan.remaining:
            self.reschedule(plan, NewTerms("split", count=count, due_date=start, interval="weekly"), rows)

    def reschedule(self, plan: PlanModel, terms: NewTerms, rows: list[tuple[date, int]]) -> None:
        """The business gives the plan these days, or asks the customer if they are due earlier, or larger."""
        asks = bool(plan.remaining) and plan.asks(rows)
        if asks and min(due for due, _ in rows) < self.today():
            return  # days that are over are not proposed
        code = self.busy(plan) or plan.unsettled() or ("" if plan.remaining else "nothing_owed")
        if asks and not code and plan.proposal and plan.proposal.state(clock.now()) == "open":
            code = "proposal_open"
        shown, open_parts = plan.remaining, plan.open_parts()
        done = self.ask(code, reschedules.reschedule, plan.id, terms=terms, shown=shown, **self.seller("Salary"))
        if not done:
            return
        assert isinstance(done, PlanRescheduled) == (not asks)
        if asks:
            end_of_first = clock.midnight(min(due for due, _ in rows) + timedelta(days=1), servers.ZONE)
            until = min(clock.now() + timedelta(days=14), end_of_first)
            plan.proposal = Proposal(done.proposal.id, open_parts, rows, until)
        else:
            plan.replace(rows)

    @precondition(lambda self: any(plan.proposal for plan in self.plans))
    @rule(which=places, answer=st.sampled_from(["accepted", "declined", "withdrawn"]))
    def answer(self, which: int, answer: str) -> None:
        asked = [plan for plan in self.plans if plan.proposal]
        plan = asked[which % len(asked)]
        proposal = plan.proposal
        code = "" if proposal.state(clock.now()) == "open" else "proposal_closed"
        if answer == "accepted":
            code = self.busy(plan) or plan.unsettled() or code
            done = self.ask(code, proposals.accept, plan.id, proposal.id, customer_id=self.omar, consenting=CONSENTING)
        elif answer == "declined":
            done = self.ask(code, proposals.decline, plan.id, proposal.id, customer_id=self.omar)
        else:
            done = self.ask(code, proposals.withdraw, plan.id, proposal.id, actor=people.owner(self.amal))
        if done:
            proposal.ended = answer
            if answer == "accepted":
                plan.replace(proposal.rows)

    def lapse(self) -> None:
        """The job ended what nobody answered in time."""
        for plan in self.plans:
            if plan.proposal and not plan.proposal.ended and plan.proposal.state(clock.now()) == "lapsed":
                plan.proposal.ended = "lapsed"

    def shown_proposal(self, plan: Plan) -> tuple[int, str] | None:
        """The newest proposal of the plan, as its pages and the API show it."""
        newest = reports.newest(plan)
        return newest and (newest.id, newest.state)
