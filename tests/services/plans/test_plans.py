"""Opening a plan: its customer, amounts and dates, and the rows of its commit."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text, update

from portal.domain import clock
from portal.domain.money import MAX_MINOR
from portal.errors import Forbidden, Invalid, KeyReused, Refused
from portal.extensions import db
from portal.models import Event, Installment, Invitation, LedgerEntry, Plan, User
from portal.services.idempotency import RequestKey
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.wording.refusals import fault_sentence
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")

CAKE = NewPlan("omar@example.com", 100_00, 3, date(2026, 8, 31), "monthly", "A cake")


def today():
    return clock.today("Asia/Riyadh")


def faults_of(merchant_id, new, **kwargs):
    """The field and code of each fault, after a check that no plan was written."""
    with pytest.raises(Invalid) as refused:
        plans.open_plan(people.owner(merchant_id), new, **kwargs)
    db.session.rollback()
    assert db.session.scalar(select(func.count(Plan.id))) == 0
    return {(fault.field, fault.code) for fault in refused.value.faults}


def test_amal_opens_a_plan_for_omar():
    amal, omar = people.amal(), people.omar()
    opened = plans.open_plan(people.owner(amal), CAKE, past_dates=True)
    assert people.token_of(opened.plan_id) is None
    plan = people.plan_of(opened.plan_id)
    assert (plan.merchant_id, plan.customer_id, plan.total, plan.currency) == (amal, omar, 100_00, "SAR")
    assert (plan.description, plan.interval, plan.time_zone, plan.grace_days) == ("A cake", "monthly", "Asia/Riyadh", 0)
    rows = people.installments_of(plan.id)
    assert [(row.number, row.amount, row.due_date) for row in rows] == [
        (1, 33_34, date(2026, 8, 31)),
        (2, 33_33, date(2026, 9, 30)),
        (3, 33_33, date(2026, 10, 31)),
    ]
    assert {(row.merchant_id, row.customer_id, row.currency, row.remaining - row.amount) for row in rows} == {
        (amal, omar, "SAR", 0)
    }
    assert plan.next_due_on == date(2026, 8, 31)
    entry = db.session.scalars(select(LedgerEntry)).one()
    assert {(line.account, line.currency, line.amount) for line in entry.lines} == {
        ("receivable", "SAR", 100_00),
        ("sales", "SAR", -100_00),
    }
    event = db.session.scalars(select(Event)).one()
    assert (event.kind, event.actor_id, event.data) == ("plan.opened", amal, {"amount": 100_00, "installments": 3})


def test_amounts_are_in_the_merchants_own_currency():
    people.omar()
    opened = plans.open_plan(people.owner(people.badr()), replace(CAKE, total=10_001), past_dates=True)
    plan = people.plan_of(opened.plan_id)
    assert plan.currency == "KWD"
    assert [row.amount for row in plan.installments] == [3334, 3334, 3333]


@pytest.mark.parametrize("email", ["OMAR@example.com", "  omar@EXAMPLE.com "])
def test_a_known_email_is_found_in_every_case(email):
    omar = people.omar()
    opened = plans.open_plan(people.owner(people.amal()), replace(CAKE, customer_email=email), past_dates=True)
    assert people.plan_of(opened.plan_id).customer_id == omar


def test_an_unknown_email_becomes_a_record_with_an_invitation():
    new = replace(CAKE, customer_email="nadia@example.com")
    opened = plans.open_plan(people.owner(people.amal()), new, past_dates=True)
    nadia = people.plan_of(opened.plan_id).customer
    assert (nadia.registered_as, nadia.email, nadia.username, nadia.is_active) == (
        "customer",
        "nadia@example.com",
        None,
        False,
    )
    assert people.token_of(opened.plan_id)
    links = db.session.scalars(select(Invitation).where(Invitation.plan_id == opened.plan_id)).all()
    assert sorted(link.kind for link in links) == ["customer", "pay"]


def test_each_plan_of_an_unclaimed_customer_has_its_own_link():
    amal = people.amal()
    new = replace(CAKE, customer_email="nadia@example.com")
    tokens = {people.token_of(plans.open_plan(people.owner(amal), new, past_dates=True).plan_id) for _ in range(2)}
    assert len(tokens) == 2 and None not in tokens
    assert db.session.scalar(select(func.count(User.id)).where(User.registered_as == "customer")) == 1


def test_emails_of_owners_and_operators_have_the_same_fault():
    amal = people.amal()
    people.a_member("nour", amal, "owner")
    people.an_operator()
    faults = set()
    for email in ("nour@example.com", "OLGA@example.com", "amal@example.com"):
        with pytest.raises(Invalid) as refused:
            plans.open_plan(people.owner(amal), replace(CAKE, customer_email=email), past_dates=True)
        (fault,) = refused.value.faults
        faults.add((fault.field, fault.code, fault_sentence(fault)))
    assert len(faults) == 1
    assert {(field, code) for field, code, _ in faults} == {("customer_email", "not_a_customer")}


def test_another_merchant_and_a_member_of_the_team_may_be_customers():
    amal, badr = people.amal(), people.badr()
    people.a_member("nour", amal, "manager")
    for email in ("badr@example.com", "nour@example.com"):
        plan_id = plans.open_plan(people.owner(amal), replace(CAKE, customer_email=email), past_dates=True).plan_id
        assert people.plan_of(plan_id).customer.email == email
    assert people.plan_of(plan_id).merchant.id == amal != badr


def test_a_deactivated_customer_gets_no_plans():
    omar = people.omar()
    db.session.execute(update(User).where(User.id == omar).values(deactivated_at=clock.now()))
    db.session.commit()
    assert faults_of(people.amal(), CAKE, past_dates=True) == {("customer_email", "not_a_customer")}


BAD_INPUT = [
    ({"customer_email": ""}, ("customer_email", "required")),
    ({"customer_email": "omar"}, ("customer_email", "bad_email")),
    ({"customer_email": "o\x00mar@example.com"}, ("customer_email", "bad_email")),
    ({"customer_email": "\u017fara@example.com"}, ("customer_email", "bad_email")),
    ({"total": 0}, ("total_amount", "bad_total")),
    ({"total": -1}, ("total_amount", "bad_total")),
    ({"total": MAX_MINOR + 1}, ("total_amount", "bad_total")),
    ({"total": 2**63}, ("total_amount", "bad_total")),
    ({"total": 2}, ("total_amount", "total_too_small")),
    ({"num_installments": 0}, ("num_installments", "bad_count")),
    ({"num_installments": -1}, ("num_installments", "bad_count")),
    ({"num_installments": 61}, ("num_installments", "bad_count")),
    ({"num_installments": 2**40}, ("num_installments", "bad_count")),
    ({"interval": "daily"}, ("interval", "bad_interval")),
    ({"interval": ""}, ("interval", "bad_interval")),
    ({"start_date": date(1999, 12, 31)}, ("start_date", "bad_dates")),
    ({"start_date": date(2200, 1, 1)}, ("start_date", "bad_dates")),
    ({"start_date": date(2199, 11, 30)}, ("start_date", "bad_dates")),
    ({"start_date": date(9999, 12, 31)}, ("start_date", "bad_dates")),
    ({"description": "x" * 201}, ("description", "too_long")),
    ({"description": "two\nlines"}, ("description", "bad_text")),
    ({"description": "nul\x00"}, ("description", "bad_text")),
    ({"description": "\u200f"}, ("description", "invisible_text")),
    ({"external_id": ""}, ("external_id", "required")),
    ({"external_id": "\u3000"}, ("external_id", "required")),
    ({"external_id": "x" * 101}, ("external_id", "too_long")),
    ({"external_id": "nul\x00"}, ("external_id", "bad_text")),
    ({"external_id": "\u200f"}, ("external_id", "invisible_text")),
    ({"notes": {"": "x"}}, ("metadata/", "too_long")),
    ({"notes": {"a": "x" * 501}}, ("metadata/a", "too_long")),
    ({"notes": {str(n): "" for n in range(21)}}, ("metadata", "too_many")),
    ({"notes": {"a": "nul\x00"}}, ("metadata/a", "unusable")),
    ({"notes": {"nul\x00": "a"}}, ("metadata/nul\x00", "unusable")),
    ({"notes": {"a": "\ud800"}}, ("metadata/a", "unusable")),
]


def test_bad_input_is_a_fault_on_its_field_and_writes_nothing(subtests):
    amal, _ = people.amal(), people.omar()
    for change, fault in BAD_INPUT:
        with subtests.test(change=ascii(change)[:60]):
            assert faults_of(amal, replace(CAKE, **change), past_dates=True) == {fault}


def test_all_faults_are_raised_at_once():
    wrong = NewPlan("nobody", 0, 0, date(2000, 1, 1), "daily", "x" * 300)  # type: ignore[arg-type]
    assert faults_of(people.amal(), wrong) == {
        ("customer_email", "bad_email"),
        ("total_amount", "bad_total"),
        ("num_installments", "bad_count"),
        ("interval", "bad_interval"),
        ("start_date", "date_in_past"),
        ("description", "too_long"),
    }


def test_a_refused_plan_creates_no_customer():
    amal = people.amal()
    faults_of(amal, replace(CAKE, customer_email="nadia@example.com", total=0), past_dates=True)
    assert db.session.scalar(select(func.count(User.id))) == 1


def test_past_due_dates_need_past_dates():
    amal = people.amal()
    people.omar()
    yesterday = replace(CAKE, start_date=today() - timedelta(days=1))
    assert faults_of(amal, yesterday) == {("start_date", "date_in_past")}
    assert plans.open_plan(people.owner(amal), replace(CAKE, start_date=today())).plan_id
    assert plans.open_plan(people.owner(amal), yesterday, past_dates=True).plan_id
    assert plans.open_plan(people.owner(amal), replace(CAKE, start_date=date(2000, 1, 1)), past_dates=True).plan_id


@pytest.mark.parametrize(
    ("total", "count", "first"),
    [
        (1, 1, date(2000, 1, 1)),
        (60, 60, date(2000, 1, 1)),
        (MAX_MINOR, 60, date(2195, 1, 31)),
        (7, 1, date(2199, 12, 31)),
    ],
)
def test_the_extreme_values_are_accepted(total, count, first):
    people.omar()
    opened = plans.open_plan(
        people.owner(people.amal()),
        replace(CAKE, total=total, num_installments=count, start_date=first),
        past_dates=True,
    )
    rows = people.installments_of(opened.plan_id)
    assert sum(row.amount for row in rows) == total
    assert len(rows) == count


def test_a_plan_is_overdue_after_a_due_date_and_not_on_it():
    amal, omar = people.amal(), people.omar()
    late, due = people.a_plan(amal, first=-1), people.a_plan(amal, first=0)
    assert people.plan_of(late).status == "overdue"
    assert people.plan_of(due).status == "active"
    first = people.installments_of(late)[0]
    assert (first.status, first.days_past_due(today())) == ("late", 1)
    people.pay(first.id, omar)
    assert people.plan_of(late).status == "active"
    assert people.installments_of(late)[0].status == "paid"


def test_only_merchants_open_plans():
    people.omar()
    for user_id in (people.sara(), people.an_operator()):
        with pytest.raises(Forbidden):
            plans.open_plan(people.actor_of(user_id), CAKE, past_dates=True)


class TestSentAgain:
    """A repeated request, and a repeated external id, make one plan."""

    def request_key(self, amal, body="body"):
        return RequestKey(amal, "POST /api/plans/", "key", body)

    def test_a_second_request_with_the_same_key_is_replayed(self):
        amal = people.amal()
        people.omar()
        request_key = self.request_key(amal)
        first = plans.open_plan(people.owner(amal), CAKE, past_dates=True, request_key=request_key)
        again = plans.open_plan(people.owner(amal), CAKE, past_dates=True, request_key=request_key)
        assert (first.replayed, again.replayed) == (False, True)
        assert again == first
        assert db.session.scalar(select(func.count(Plan.id))) == 1

    def test_another_body_under_the_same_key_is_refused(self):
        amal = people.amal()
        people.omar()
        plans.open_plan(people.owner(amal), CAKE, past_dates=True, request_key=self.request_key(amal))
        with pytest.raises(KeyReused):
            plans.open_plan(people.owner(amal), CAKE, past_dates=True, request_key=self.request_key(amal, "another"))

    def test_a_refused_request_does_not_use_up_its_key(self):
        amal = people.amal()
        people.omar()
        with pytest.raises(Invalid):
            plans.open_plan(
                people.owner(amal), replace(CAKE, total=0), past_dates=True, request_key=self.request_key(amal, "bad")
            )
        assert plans.open_plan(people.owner(amal), CAKE, past_dates=True, request_key=self.request_key(amal)).plan_id

    def test_eight_at_once_under_one_key_make_one_plan(self, app):
        amal = people.amal()
        people.omar()
        request_key = self.request_key(amal)
        results = at_once(
            app, [lambda: plans.open_plan(people.owner(amal), CAKE, past_dates=True, request_key=request_key)] * 8
        )
        (first,) = [result for result in results if not result.replayed]
        assert all(result == first for result in results)
        db.session.rollback()
        assert db.session.scalar(select(func.count(Plan.id))) == 1

    def test_a_repeated_external_id_returns_the_equal_plan_or_is_refused(self, app):
        amal = people.amal()
        people.omar()
        new = replace(CAKE, external_id="order 1")
        results = at_once(app, [lambda: plans.open_plan(people.owner(amal), new, past_dates=True)] * 8)
        assert len({result.plan_id for result in results}) == 1
        assert sorted(type(result).__name__ for result in results) == ["PlanCreated"] + ["PlanFound"] * 7
        with pytest.raises(Refused) as refused:
            plans.open_plan(people.owner(amal), replace(new, total=5_00), past_dates=True)
        assert refused.value.code == "external_id_used"
        assert plans.open_plan(people.owner(people.badr()), replace(new, total=5_00), past_dates=True).plan_id
        db.session.rollback()
        assert db.session.scalar(select(func.count(Plan.id))) == 2


def test_the_saved_schedule_equals_the_preview():
    people.omar()
    plan_id = plans.open_plan(people.owner(people.amal()), CAKE, past_dates=True).plan_id
    preview = plans.schedule.build(CAKE.total, CAKE.num_installments, CAKE.interval, CAKE.start_date)
    saved = db.session.scalars(select(Installment).where(Installment.plan_id == plan_id).order_by(Installment.number))
    assert [(row.number, row.due_date, row.amount) for row in saved] == [
        (row.number, row.due_date, row.amount) for row in preview
    ]


def test_a_plan_and_its_rows_are_one_commit():
    plans.open_plan(people.owner(people.amal()), replace(CAKE, customer_email="new@example.com"), past_dates=True)
    tables = ("plans", "installments", "ledger_entries", "ledger_lines", "events", "invitations")
    commits = " UNION ".join(f"SELECT DISTINCT xmin::text FROM {table}" for table in tables)  # noqa: S608
    assert len(db.session.scalars(text(commits)).all()) == 1
