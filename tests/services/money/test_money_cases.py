"""Small plans with their right figures: tests/cases/money.json, over the real services and the simulated gateway."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import func, select, update

from portal.domain import clock, money
from portal.errors import Invalid, QistError
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import tables
from portal.models import Email, Event, Merchant
from portal.reports.merchants import dashboard, overview
from portal.reports.operations import checks
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import cancellations, credits, voids, write_offs
from portal.services.payments import manual_payments, outcomes, payments, refunds, reversals
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.services.reminders import reminders
from portal.wording.refusals import sentence
from tests.fixtures import people

CASES = json.loads((Path(__file__).parents[2] / "cases" / "money.json").read_text())

pytestmark = pytest.mark.usefixtures("context")


class Scene:
    """One case: the plan, its payments in order, and the answers to refused acts."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case, self.zone = case, ZoneInfo(case["zone"])
        self.amal, self.omar = people.amal(), people.omar()
        db.session.execute(
            update(Merchant).values(home_currency=case["currency"], time_zone=case["zone"], updated_at=clock.now())
        )
        db.session.commit()
        self.actor = people.owner(self.amal)
        self.payments: list[int] = []
        self.answers: list[Any] = []
        self.words = ""
        first = date.fromisoformat(case["due"])
        new = NewPlan("omar@example.com", self.minor(case["total"]), case["n"], first, "monthly", "A cake")
        self.plan = plans.open_plan(self.actor, new, past_dates=True).plan_id

    def minor(self, text: str) -> int:
        return money.parse(text, self.case["currency"])

    def act(self, words: list[str]) -> None:
        """Carry one act out. A refusal is kept as (status, code)."""
        try:
            if words[0].startswith("tab_"):
                self.press(words[2])
            else:
                ACTS[words[0]](self, words[1:])
        except Invalid as invalid:
            db.session.rollback()
            self.answers = [invalid.status, invalid.faults[0].code]
        except QistError as error:
            db.session.rollback()
            self.answers, self.words = [error.status, error.code], sentence(error)

    def pay(self, words: list[str]) -> None:
        method = f"card_{words[1]}" if len(words) > 1 else "card_ok"
        self.payments.append(
            payments.pay_plan(
                self.plan, customer_id=self.omar, choice="amount", amount=self.minor(words[0]), shown=None,
                method=method,
            ).payment_id
        )  # fmt: skip

    def press(self, shown: str) -> None:
        """The pay button of the first installment in one of two tabs, which both show its amount."""
        row = people.installments_of(self.plan)[0]
        payments.pay_installment(row.id, customer_id=self.omar, shown=self.minor(shown), method="card_ok")

    def cash(self, words: list[str]) -> None:
        today = clock.local_date(clock.now(), self.case["zone"])
        day = date.fromisoformat(words[2]) if len(words) > 1 else today
        recorded = manual_payments.record(
            self.plan, actor=self.actor, amount=self.minor(words[0]), method="cash", received_on=day
        )
        self.payments.append(recorded.payment_id)

    def bounce(self, words: list[str]) -> None:
        payment_id = self.payments[int(words[0]) - 1]
        key = people.payment_of(payment_id).gateway_key
        db.session.rollback()
        gateway.active().bounce(str(key), self.minor(words[2]) if len(words) > 1 else None)
        reversals.ask_gateway(payment_id, actor=self.actor)

    def reverse_by_merchant(self, words: list[str]) -> None:
        reversals.ask_gateway(self.payments[int(words[0]) - 1], actor=self.actor)

    def void(self, words: list[str]) -> None:
        voids.void(self.payments[int(words[0]) - 1], actor=self.actor, reason="Oops")

    def local_day(self, instant: datetime | None) -> str | None:
        return None if instant is None else instant.astimezone(self.zone).date().isoformat()


ACTS: dict[str, Callable[[Scene, list[str]], Any]] = {
    "pay": Scene.pay,
    "cash": Scene.cash,
    "bounce": Scene.bounce,
    "reverse_by_merchant": Scene.reverse_by_merchant,
    "void": Scene.void,
    "settle": lambda scene, words: outcomes.settle_unknown_payments(),
    "credit": lambda scene, words: credits.credit(
        scene.plan, actor=scene.actor, amount=scene.minor(words[0]), how="last", reason="Late"
    ),
    "refund": lambda scene, words: refunds.refund(
        scene.plan, actor=scene.actor, amount=scene.minor(words[0]), reason="Broken"
    ),
    "write_off": lambda scene, words: write_offs.write_off(scene.plan, actor=scene.actor, reason="Gone"),
    "cancel": lambda scene, words: cancellations.cancel(scene.plan, actor=scene.actor, reason="Sold out"),
}


def at(text: str, zone: ZoneInfo) -> datetime:
    """A local day (noon) or a local instant."""
    moment = datetime.fromisoformat(text)
    return (moment.replace(hour=12) if len(text) == 10 else moment).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case_has_its_right_figures(case: dict[str, Any], database: str) -> None:
    zone = ZoneInfo(case["zone"])
    with time_machine.travel(at(case["made"], zone), tick=False) as traveller:
        scene = Scene(case)
        for line in case["acts"]:
            when, *words = line.split()
            traveller.move_to(at(when, zone))
            scene.act(words)
            db.session.rollback()
        expect(scene, case["then"])
    assert [check for check in checks.run() if check[1]] == []


def expect(scene: Scene, then: dict[str, Any]) -> None:
    rows, plan, figures = people.installments_of(scene.plan), people.plan_of(scene.plan), plan_figures(scene.plan)
    shop = dashboard.figures(db.session.get_one(Merchant, scene.amal))
    charges = select(func.count()).select_from(tables.charges).where(tables.charges.c.outcome == "charged")
    known: dict[str, Callable[[], Any]] = {
        "status": lambda: plan.status,
        "paid": lambda: scene.minor(then["paid"]) == figures.paid,
        "credited": lambda: scene.minor(then["credited"]) == figures.credited,
        "written_off": lambda: scene.minor(then["written_off"]) == figures.written_off,
        "remaining": lambda: scene.minor(then["remaining"]) == figures.remaining,
        "outstanding": lambda: scene.minor(then["outstanding"]) == shop.home.outstanding,
        "revenue": lambda: scene.minor(then["revenue"]) == shop.home.collected,
        "success_rate": lambda: f"{shop.home.success_rate:.2f}",
        "gateway_charges": lambda: db.session.scalar(charges),
        "charges": lambda: db.session.scalar(charges),
        "answers": lambda: scene.answers,
    }
    for name, value in then.items():
        if name in known:
            found = known[name]()
            assert found is True or found == value, name
        else:
            EXPECTED[name](scene, value, rows)


def _installments(scene: Scene, value: list[dict[str, Any]], rows: list[Any]) -> None:
    for row, wanted in zip(rows, value, strict=True):
        seen = {
            "status": row.status,
            "paid_at_day": scene.local_day(row.paid_at),
            "on_time": row.paid_at is not None and row.paid_at < row.late_at,
        }
        assert {name: seen[name] for name in wanted} == wanted


def _no_events(scene: Scene, value: list[str], rows: list[Any]) -> None:
    kinds = set(db.session.scalars(select(Event.kind).where(Event.plan_id == scene.plan)))
    assert not kinds & set(value)


def _collected_in(scene: Scene, value: str, rows: list[Any]) -> None:
    """The month of the charge has all of it on the business's dashboard, and its list of payments has it, too."""
    home = overview.overview(db.session.get_one(Merchant, scene.amal)).home
    months = {f"{month.first:%Y-%m}": month.collected for month in home.months if month.collected}
    assert months == {value: scene.minor(scene.case["total"])}


def _reminders(scene: Scene, value: int, rows: list[Any]) -> None:
    reminders.send_overdue_reminders()
    assert db.session.scalar(select(func.count()).where(Email.kind == "reminder")) == value


def _pay_answers(scene: Scene, value: list[Any], rows: list[Any]) -> None:
    for row in rows:
        with pytest.raises(QistError) as refused:
            payments.pay_installment(row.id, customer_id=scene.omar, shown=None, method="card_ok")
        db.session.rollback()
        assert [refused.value.status, refused.value.code] == value


def _in_the_tab(scene: Scene, value: str, rows: list[Any]) -> None:
    """The refusal in words. tests/browser/test_refused_payments.py looks at the page and its button."""
    assert scene.answers == [409, "already_paid"]
    assert value in scene.words or value == "secondary, for the next one"


EXPECTED: dict[str, Callable[[Scene, Any, list[Any]], None]] = {
    "installments": _installments,
    "events_without": _no_events,
    "collected_in": _collected_in,
    "reminders_after": _reminders,
    "pay_answers": _pay_answers,
    "visible_in_tab_a": _in_the_tab,
    "button_in_tab_a": _in_the_tab,
}
