"""Closed books never change again, byte for byte, and entries have numbers without gaps."""

import subprocess
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from beancount import loader
from beancount.core import realization
from sqlalchemy import func, select, update

from portal.domain import chart as charts
from portal.domain import permissions
from portal.domain.chart import ACCOUNTS
from portal.errors import Forbidden, Invalid
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import EntryNumber, LedgerEntry, LedgerLine, Merchant, SecurityEvent, User
from portal.reports.books import balances, journal
from portal.reports.books import chart as chart_reports
from portal.reports.exports.journal import export_journal
from portal.reports.merchants import dashboard
from portal.reports.payments import statements
from portal.services.accounts import accounts
from portal.services.accounts.merchant_settings import Settings
from portal.services.adjustments import credits, voids, write_offs
from portal.services.books import chart, closing, numbers
from portal.services.payments import callbacks, manual_payments, payments, refunds
from tests.fixtures import people
from tests.fixtures.business import everything

pytestmark = pytest.mark.usefixtures("context")
MARCH = (date(2026, 3, 1), date(2026, 3, 31))


def bytes_of(merchant_id: int, plan_id: int, first: date, last: date) -> str:
    """Everything that a closed period shows: the journal in three forms, trial balance, statement."""
    db.session.rollback()
    numbers.number_entries(merchant_id)
    actor = people.owner(merchant_id)
    export = export_journal(actor, first=first, last=last)
    rows = [export.header, *export.rows]
    files = ["".join(journal.hledger(actor, first, last)), "".join(journal.beancount(actor, first, last))]
    trial = balances.trial_balance(actor, last)
    lines = statements.statement(people.plan_of(plan_id), first, last)
    shown = [(line.on, line.kind, line.owed, line.cash, line.balance) for line in lines.lines]
    return repr((rows, files, trial, lines.opening, lines.closing, shown))


def minor(amount: str) -> int:
    """Minor units of an amount in riyals, with its sign."""
    return int(Decimal(amount) * 100)


def close(merchant_id: int, until: date) -> None:
    closing.close(people.owner(merchant_id), until=until)


def entry(kind: str) -> LedgerEntry:
    db.session.rollback()
    return db.session.scalars(
        select(LedgerEntry).where(LedgerEntry.kind == kind).order_by(LedgerEntry.id.desc())
    ).first()


class TestAClosedPeriod:
    @pytest.mark.parametrize("lost", ["card_refund_lost_done", "card_refund_lost_not_done"])
    def test_it_stays_byte_for_byte_the_same(self, lost: str):
        with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as now:
            amal, omar = people.amal(), people.omar()
            plan_id = people.a_plan(amal, total=120_00, count=3)
            card = people.pay(people.installments_of(plan_id)[0].id, omar)
            people.pay(people.installments_of(plan_id)[1].id, omar, lost)
            refunds.refund(plan_id, actor=people.owner(amal), amount=3_00, reason="Torn")
            cash = manual_payments.record(
                plan_id, actor=people.owner(amal), amount=10_00, method="cash", received_on=date(2026, 3, 2)
            )
            now.move_to(datetime(2026, 4, 2, 9, tzinfo=UTC))
            before = bytes_of(amal, plan_id, *MARCH)
            close(amal, MARCH[1])
            assert bytes_of(amal, plan_id, *MARCH) == before and "refund_begun" in before
            assert refunds.settle_unknown_refunds() == 1
            owner = people.owner(amal)
            refunds.refund(plan_id, actor=owner, amount=5_00, reason="Torn", payment_id=card.id)
            voids.void(cash.payment_id, actor=owner, reason="Written twice")
            accounts.update_merchant(
                owner, Settings(business_name="Amal", time_zone="Pacific/Apia", grace_days=0, home_currency="SAR")
            )
            manual_payments.record(plan_id, actor=owner, amount=7_00, method="cash", received_on=date(2026, 3, 9))
            credits.credit(plan_id, actor=owner, amount=1_00, how="last", reason="Sorry")
            write_offs.write_off(plan_id, actor=owner, reason="Gone")
            chart.rename(owner, "cash", code="1", name="Till", export_name="assets:till")
            assert bytes_of(amal, plan_id, *MARCH) == before
            late = entry("payment")
            assert (late.booked_on, late.value_on) == (date(2026, 4, 1), date(2026, 3, 9))
            assert entry("void").booked_on == date(2026, 4, 2) and entry("void").value_on is None
            april = bytes_of(amal, plan_id, date(2026, 4, 1), date(2026, 4, 30))
            assert "assets:till" in april and "2026-04-01=2026-03-09" in april

    def test_it_stays_the_same_when_the_bank_takes_more_than_was_kept_and_gives_it_back(self):
        """The bank took one payment in March, and gave another back in March. The gateway tells both in April."""
        with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as now:
            amal, omar = people.amal(), people.omar()
            owner, plans = people.owner(amal), [people.a_plan(amal, total=40_00, count=1) for _ in range(2)]
            taken, given = (people.pay(people.installments_of(plan_id)[0].id, omar) for plan_id in plans)
            for plan_id in plans:
                refunds.refund(plan_id, actor=owner, amount=10_00, reason="Torn")
            people.bounce(given.id, 40_00)
            now.move_to(datetime(2026, 3, 20, 9, tzinfo=UTC))
            assert gateway.active().bounce(taken.gateway_key, 40_00) and gateway.active().win(given.gateway_key)
            now.move_to(datetime(2026, 4, 2, 9, tzinfo=UTC))
            before = [bytes_of(amal, plan_id, *MARCH) for plan_id in plans]
            close(amal, MARCH[1])
            assert callbacks.deliver_due() >= 2
            assert people.win(taken.id)
            assert [bytes_of(amal, plan_id, *MARCH) for plan_id in plans] == before
            db.session.rollback()
            late = select(LedgerEntry.kind, LedgerEntry.booked_on, LedgerEntry.value_on)
            late = late.where(LedgerEntry.booked_on > MARCH[1]).order_by(LedgerEntry.kind, LedgerEntry.booked_on)
            first, then, today = date(2026, 4, 1), date(2026, 3, 20), date(2026, 4, 2)
            assert [tuple(row) for row in db.session.execute(late)] == [
                ("loss_returned", first, then),
                ("loss_returned", today, None),
                ("payment", first, then),
                ("payment", today, None),
                ("reversal", first, then),
            ]

    def test_its_files_do_not_change_with_the_email_of_their_author(self):
        with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as now:
            amal, _ = people.amal(), people.omar()
            mona = people.a_member("mona", amal, "manager")
            plan_id = people.a_plan(amal, total=120_00, count=3)
            manager = permissions.member(mona, amal, "manager")
            credits.credit(plan_id, actor=manager, amount=1_00, how="last", reason="Sorry")
            now.move_to(datetime(2026, 4, 2, 9, tzinfo=UTC))
            close(amal, MARCH[1])
            before = bytes_of(amal, plan_id, *MARCH)
            export = export_journal(people.owner(amal), first=MARCH[0], last=MARCH[1])
            authors = {row[export.header.index("by")] for row in export.rows}
            assert authors == {amal, mona}
            email = "mona.new@example.com"
            renamed = {"username": email, "username_key": email, "email": email, "email_key": email}
            db.session.execute(update(User).where(User.id == mona).values(renamed))
            db.session.commit()
            assert bytes_of(amal, plan_id, *MARCH) == before

    def test_a_zone_in_which_a_closed_day_is_not_over_is_refused(self):
        with time_machine.travel(datetime(2026, 4, 1, 1, tzinfo=UTC), tick=False) as now:
            amal = people.amal()
            settings = {"business_name": "Amal", "grace_days": 0, "home_currency": "SAR"}
            close(amal, MARCH[1])
            with pytest.raises(Invalid) as refused:
                accounts.update_merchant(people.owner(amal), Settings(time_zone="America/New_York", **settings))
            (fault,) = refused.value.faults
            assert (fault.field, fault.code, fault.facts["day"]) == ("time_zone", "zone_before_closing", MARCH[1])
            db.session.rollback()
            assert db.session.get_one(Merchant, amal).time_zone == "Asia/Riyadh"
            accounts.update_merchant(people.owner(amal), Settings(time_zone="Europe/Paris", **settings))
            now.move_to(datetime(2026, 4, 1, 4, tzinfo=UTC))
            accounts.update_merchant(people.owner(amal), Settings(time_zone="America/New_York", **settings))

    def test_closing_moves_forward_only_and_not_after_yesterday(self):
        amal = people.amal()
        today = people.today_of(amal)
        yesterday = today - timedelta(days=1)
        for until, code in ((today, "books_after_yesterday"), (today + timedelta(days=9), "books_after_yesterday")):
            with pytest.raises(Invalid) as refused:
                close(amal, until)
            assert [(fault.field, fault.code) for fault in refused.value.faults] == [("until", code)]
        close(amal, yesterday - timedelta(days=5))
        for until in (yesterday - timedelta(days=5), yesterday - timedelta(days=6)):
            with pytest.raises(Invalid) as refused:
                close(amal, until)
            assert refused.value.faults[0].code == "books_closed_already"
        close(amal, yesterday)
        db.session.rollback()
        assert db.session.get_one(Merchant, amal).books_closed_until == yesterday
        events = select(SecurityEvent).where(SecurityEvent.kind == "books_closed").order_by(SecurityEvent.id.desc())
        event = db.session.scalars(events).first()
        assert (event.merchant_id, event.facts) == (amal, {"until": yesterday.isoformat()})

    def test_only_an_owner_closes_the_books(self):
        amal = people.amal()
        manager = people.actor_of(people.a_member("mona", amal, "manager"))
        with pytest.raises(Forbidden):
            closing.close(manager, until=people.today_of(amal) - timedelta(days=2))
        with pytest.raises(Forbidden):
            chart.rename(manager, "cash", code="1", name="", export_name="assets:cash")


class TestNumbers:
    def test_they_have_no_gaps_for_each_business(self):
        ids = everything()
        assert numbers.number_all() == 1
        assert numbers.number_all() == 0
        people.a_plan(ids["badr"], total=10_00, count=1)
        people.a_plan(ids["amal"], total=10_00, count=1)
        assert numbers.number_all() == 2
        for merchant_id in (ids["amal"], ids["badr"]):
            db.session.rollback()
            given = select(EntryNumber.number).where(EntryNumber.merchant_id == merchant_id)
            entries = select(func.count()).where(LedgerEntry.merchant_id == merchant_id)
            assert sorted(db.session.scalars(given)) == list(range(1, db.session.scalar(entries) + 1))


class TestTheChart:
    def test_codes_and_names_are_checked(self):
        amal = people.amal()
        owner = people.owner(amal)
        wrong = {
            "code": ({"code": "1 000"}, "bad_code"),
            "export_name": ({"export_name": "assets::cash"}, "bad_export_name"),
        }
        for field, (change, code) in wrong.items():
            with pytest.raises(Invalid) as refused:
                chart.rename(owner, "cash", **({"code": "1", "name": "", "export_name": "assets:cash"} | change))
            assert [(fault.field, fault.code) for fault in refused.value.faults] == [(field, code)]
        with pytest.raises(Invalid) as refused:
            chart.rename(owner, "cash", code="1010", name="", export_name="assets:cash")
        assert refused.value.faults[0].code == "name_taken"
        with pytest.raises(Invalid) as refused:
            chart.rename(owner, "cash", code="1", name="", export_name="Assets:Bank")
        assert refused.value.faults[0].code == "name_taken"
        chart.rename(owner, "cash", code="1", name="الصندوق", export_name="assets:till")
        named = chart_reports.names_on(amal, people.today_of(amal))["cash"]
        assert (named.code, named.name, named.export_name) == ("1", "الصندوق", "assets:till")

    def test_every_account_of_the_ledger_is_in_the_chart_once(self):
        assert set(charts.CHART) == set(ACCOUNTS)
        assert len({row.code for row in charts.CHART.values()}) == len(charts.CHART)


class TestFilesForOtherPrograms:
    """hledger and beancount read the journal, and their balances are those of the books, to the unit.

    The books have losses at the bank, and a part of them that came back.
    """

    @pytest.fixture
    def amal(self) -> int:
        ids = everything()
        amal, omar = ids["amal"], ids["omar"]
        plan_id = people.a_plan(amal, total=100_00, count=2)
        paid = payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_ok")
        refunds.refund(plan_id, actor=people.owner(amal), amount=30_00, reason="Torn")
        people.bounce(paid.payment_id, 100_00)
        people.win(paid.payment_id, 75_00)
        numbers.number_entries(amal)
        assert self.books(amal)["losses"] == 25_00
        return amal

    def dashboard(self, merchant_id: int) -> tuple[int, int]:
        """Collected and outstanding, as the dashboard shows them."""
        db.session.rollback()
        home = dashboard.figures(db.session.get_one(Merchant, merchant_id)).home
        return home.collected, home.outstanding

    def collected_and_owed(self, found: dict[str, int], names: dict[str, str]) -> tuple[int, int]:
        """The same figures from the balances that another program shows. `names` are the accounts in its file."""
        return sum(found.get(names[key], 0) for key in charts.COLLECTED), found[names["receivable"]]

    def books(self, merchant_id: int) -> dict[str, int]:
        db.session.rollback()
        query = select(LedgerLine.account, func.sum(LedgerLine.amount)).join(LedgerEntry)
        rows = db.session.execute(query.where(LedgerEntry.merchant_id == merchant_id).group_by(LedgerLine.account))
        return {account: int(amount) for account, amount in rows if amount}

    def test_hledger(self, amal: int, tmp_path: Path):
        path = tmp_path / "books.hledger"
        path.write_text("".join(journal.hledger(people.owner(amal))))
        command = ["hledger", "-f", str(path), "balance", "--flat", "--no-total", "-O", "csv"]
        answer = subprocess.run([*command[:3], "check", "-s"], capture_output=True, text=True, check=False)
        assert "undeclared" in answer.stderr or answer.returncode == 0, answer.stderr
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = [line.strip('"').split('","') for line in text.splitlines()[1:]]
        found = {name: minor(amount.removeprefix("SAR ")) for name, amount in rows}
        names = {key: row.export_name for key, row in charts.CHART.items()}
        assert found == {names[key]: amount for key, amount in self.books(amal).items()}
        assert self.collected_and_owed(found, names) == self.dashboard(amal)

    def test_beancount(self, amal: int, tmp_path: Path):
        path = tmp_path / "books.beancount"
        path.write_text("".join(journal.beancount(people.owner(amal))))
        entries, errors, _ = loader.load_file(str(path))
        assert errors == []
        tree = realization.realize(entries)
        found = {}
        for account in realization.iter_children(tree, leaf_only=True):
            for position in account.balance:
                found[account.account] = minor(str(position.units.number))
        names = {key: charts.beancount_name(key, row.export_name) for key, row in charts.CHART.items()}
        assert found == {names[key]: amount for key, amount in self.books(amal).items()}
        assert self.collected_and_owed(found, names) == self.dashboard(amal)
