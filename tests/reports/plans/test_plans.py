"""Lists of plans and installments: filters, order, pages, and the number of queries."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import text

from portal.domain import clock
from portal.errors import Invalid
from portal.extensions import db
from portal.models import Installment, Merchant, Plan, User
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.models.plans.plans import PLAN_STATUSES
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters, PlanFilters
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms
from portal.services.payments import payments as paying
from tests.fixtures import people
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


def user(user_id):
    db.session.rollback()
    return people.actor_of(user_id)


def ids(page):
    return [row.id for row in page.items]


@pytest.fixture
def shop(amal, omar):
    """A plan in each status, and a plan of another merchant."""
    people.sara()
    plan_ids = {
        "active": people.a_plan(amal),
        "overdue": people.a_plan(amal, "sara@example.com", first=-1),
        "completed": people.a_plan(amal, total=10_00, count=1),
        "cancelled": people.a_plan(amal, total=40_00, count=4),
        "badr's": people.a_plan(people.badr(), "sara@example.com"),
    }
    people.pay(people.installments_of(plan_ids["completed"])[0].id, omar)
    people.pay(people.installments_of(plan_ids["cancelled"])[0].id, omar)
    db.session.rollback()
    with db.engine.begin() as connection:
        plan = {"plan": plan_ids["cancelled"]}
        credit = "UPDATE installments SET credited = remaining WHERE plan_id = :plan AND number = 2"
        write_off = "UPDATE installments SET written_off = remaining WHERE plan_id = :plan AND number = 3"
        void = "UPDATE installments SET credited = remaining, cancelled_at = now() WHERE plan_id = :plan AND number = 4"
        close = (
            "UPDATE plans SET state = 'cancelled', closed_at = now(), closed_by = 'cancel', cancelled_at = now() "
            "WHERE id = :plan"
        )
        for statement in (credit, write_off, void, close):
            connection.execute(text(statement), plan)
    return plan_ids


class TestPlans:
    def test_everybody_sees_their_own_newest_first(self, amal, omar, shop):
        own = [shop[name] for name in ("cancelled", "completed", "overdue", "active")]
        assert ids(plans.list_plans(user(amal))) == own
        assert ids(plans.list_plans(user(omar))) == [shop[name] for name in ("cancelled", "completed", "active")]
        sara = db.session.scalar(db.select(User.id).where(User.username == "sara"))
        assert ids(plans.list_plans(user(sara))) == [shop["badr's"], shop["overdue"]]
        assert ids(plans.list_plans(user(amal), newest_first=False)) == own[::-1]

    def test_each_status_finds_exactly_the_plans_that_say_so(self, amal, shop):
        for status in PLAN_STATUSES:
            assert ids(plans.list_plans(user(amal), PlanFilters(status=status))) == [shop[status]]
            assert db.session.get_one(Plan, shop[status]).status == status

    @pytest.mark.parametrize(
        ("filters", "condition"),
        [
            (PlanFilters(status="completed"), "state = 'completed'"),
            (PlanFilters(closed_by="paid"), "state != 'active'"),
        ],
    )
    def test_a_kept_query_plan_can_use_the_index_of_closed_plans(self, app, amal, shop, filters, condition):
        """PostgreSQL plans a prepared statement for any value, so a state that is a parameter implies nothing."""
        with queries(app) as statements:
            plans.list_plans(people.owner(amal), filters)
        assert any(f"plans.{condition}" in statement for statement in statements)

    def test_a_customer_is_found_by_a_part_of_name_or_email(self, amal, shop, subtests):
        for typed, names in (
            ("omar", "active completed cancelled"),
            ("OMAR@EX", "active completed cancelled"),
            (" sara ", "overdue"),
            ("s", "overdue"),
            ("mar", "active completed cancelled"),
            ("ma", ""),
            ("%", ""),
            ("_mar", ""),
            ("\\", ""),
            ("'; --", ""),
            ("\x00", ""),
            ("omar\x00", ""),
            ("\ud800", ""),
            ("x" * 10_000, ""),
            ("", "active overdue completed cancelled"),
            ("  ", "active overdue completed cancelled"),
        ):
            with subtests.test(typed=ascii(typed)[:30]):
                listed = ids(plans.list_plans(user(amal), PlanFilters(search=typed)))
                assert set(listed) == {shop[name] for name in names.split()}

    def test_a_whole_email_finds_exactly_that_customer(self, amal, shop):
        assert ids(plans.list_plans(user(amal), PlanFilters(customer_email="SARA@example.com"))) == [shop["overdue"]]
        assert ids(plans.list_plans(user(amal), PlanFilters(customer_email="sara@example.co"))) == []
        assert ids(plans.list_plans(user(amal), PlanFilters(customer_email="\x00"))) == []

    def test_filters_narrow_together(self, amal, shop):
        assert ids(plans.list_plans(user(amal), PlanFilters(search="omar", status="overdue"))) == []
        assert ids(plans.list_plans(user(amal), PlanFilters(search="sara", status="overdue"))) == [shop["overdue"]]

    def test_overdue_comes_and_goes_with_the_clock_and_no_job(self, amal, omar):
        plan_id = people.a_plan(amal, first=0)
        assert ids(plans.list_plans(user(amal), PlanFilters(status="overdue"))) == []
        with time_machine.travel(clock.now() + timedelta(days=2)):
            assert ids(plans.list_plans(user(amal), PlanFilters(status="overdue"))) == [plan_id]
            assert ids(plans.list_plans(user(amal), PlanFilters(status="active"))) == []

    def test_pages_stay_right_while_plans_are_made(self, amal, omar):
        plan_ids = [people.a_plan(amal, count=1) for _ in range(7)]
        seen, cursor = [], None
        for _ in range(4):
            page = plans.list_plans(user(amal), limit=2, cursor=cursor)
            seen += ids(page)
            cursor = page.next_cursor
            people.a_plan(amal, count=1)
        assert seen == plan_ids[::-1]
        assert cursor is None

    def test_the_last_page_has_no_next_and_an_exact_fit_is_the_last(self, amal, omar):
        plan_ids = [people.a_plan(amal, count=1) for _ in range(4)]
        page = plans.list_plans(user(amal), limit=2)
        page = plans.list_plans(user(amal), limit=2, cursor=page.next_cursor)
        assert (ids(page), page.next_cursor) == ([plan_ids[1], plan_ids[0]], None)

    def test_more_plans_cost_no_more_queries(self, app, amal, omar):
        def cost():
            viewer = user(amal)
            merchant = db.session.get_one(Merchant, amal)
            with queries(app) as sent:
                for plan in plans.list_plans(viewer).items:
                    assert plan.customer.display_name and plan.merchant is merchant
                    assert plan.statuses and plan.remaining
            return len(sent)

        people.a_plan(amal)
        few = cost()
        for _ in range(8):
            people.a_plan(amal)
        assert cost() == few == 1

    def test_each_comes_with_the_statuses_and_the_sum_of_its_installments(self, amal, shop):
        actor, known = user(amal), db.session.get_one(Plan, shop["overdue"])
        listed = plans.list_plans(actor).items
        assert known in listed
        assert all(plan.listed_installments for plan in listed)
        shown = [(plan.statuses, plan.remaining) for plan in listed]
        rows = [plan.installments for plan in listed]
        assert shown == [([row.status for row in each], sum(row.remaining for row in each)) for each in rows]
        statuses = {status for of_plan, _ in shown for status in of_plan}
        assert statuses == {"pending", "late", "paid", "waived", "written_off", "cancelled"}
        db.session.expunge_all()
        loaded = [db.session.get_one(Plan, plan.id) for plan in listed]
        assert [plan.listed_installments for plan in loaded] == [None] * len(listed)
        assert [(plan.statuses, plan.remaining) for plan in loaded] == shown


class TestInstallments:
    def test_soonest_due_first(self, amal, omar):
        late, soon = people.a_plan(amal, count=2, first=-40), people.a_plan(amal, count=2, first=-20)
        rows = plans.list_installments(user(amal)).items
        assert [row.due_date for row in rows] == sorted(row.due_date for row in rows)
        assert {row.plan_id for row in rows} == {late, soon}
        assert ids(plans.list_installments(user(amal), soonest_first=False)) == [row.id for row in rows][::-1]
        assert ids(plans.list_installments(user(omar))) == [row.id for row in rows]
        assert ids(plans.list_installments(user(people.sara()))) == []

    def test_each_status_finds_exactly_the_installments_that_say_so(self, amal, shop):
        moved = people.installments_of(shop["active"])[-1]
        terms = NewTerms("move", installment_id=moved.id, due_date=moved.due_date + timedelta(days=9))
        reschedules.reschedule(shop["active"], actor=people.owner(amal), terms=terms, reason="He asked")
        for status in (*INSTALLMENT_STATUSES, "open"):
            listed = plans.list_installments(user(amal), InstallmentFilters(status=status)).items
            every = db.session.scalars(db.select(Installment).where(Installment.merchant_id == amal)).all()
            statuses = {"pending", "late"} if status == "open" else {status}
            assert {row.id for row in listed} == {row.id for row in every if row.status in statuses} != set()

    def test_what_was_moved_counts_once_and_every_row_of_a_plan_has_its_place(self, amal, omar):
        plan_id = people.a_plan(amal, total=120_00, count=3, first=5)
        paying.pay_plan(plan_id, customer_id=omar, choice="amount", amount=10_00, shown=None, method="card_ok")
        terms = NewTerms("shift", days=7)
        reschedules.reschedule(plan_id, actor=people.owner(amal), terms=terms, reason="He asked")
        filters = InstallmentFilters(plan_id=plan_id)
        assert plans.tally_installments(user(amal), filters).run().sums == {"SAR": 120_00}
        every = InstallmentFilters(plan_id=plan_id, replaced=True)
        seen, cursor = [], None
        while True:
            page = plans.list_installments(user(amal), every, limit=1, cursor=cursor)
            seen += ids(page)
            if (cursor := page.next_cursor) is None:
                break
        assert len(seen) == len(set(seen)) == len(people.installments_of(plan_id))

    def test_due_before_and_after_leave_the_day_itself_out(self, amal, omar):
        rows = people.installments_of(people.a_plan(amal, count=3, interval="weekly"))
        middle = rows[1].due_date
        assert ids(plans.list_installments(user(amal), InstallmentFilters(due_before=middle))) == [rows[0].id]
        assert ids(plans.list_installments(user(amal), InstallmentFilters(due_after=middle))) == [rows[2].id]
        assert ids(plans.list_installments(user(amal), InstallmentFilters(due_before=middle, due_after=middle))) == []

    @pytest.mark.parametrize("soonest_first", [True, False])
    def test_pages_stay_right_over_equal_dates_while_plans_are_made(self, amal, omar, soonest_first):
        """Many installments share a due date, so the id breaks ties. Rows inserted before the cursor do not appear."""
        for _ in range(4):
            people.a_plan(amal, count=2, interval="weekly")
        before = ids(plans.list_installments(user(amal), soonest_first=soonest_first))
        seen, cursor = [], None
        while True:
            page = plans.list_installments(user(amal), limit=3, cursor=cursor, soonest_first=soonest_first)
            seen += ids(page)
            cursor = page.next_cursor
            if cursor is None:
                break
            people.a_plan(amal, count=1, first=-30 if soonest_first else 30)
        assert seen == before

    def test_more_installments_cost_no_more_queries(self, app, amal, omar):
        def cost():
            viewer = user(amal)
            merchant = db.session.get_one(Merchant, amal)
            with queries(app) as sent:
                for row in plans.list_installments(viewer).items:
                    assert row.plan.merchant is merchant and row.plan.customer.display_name
            return len(sent)

        people.a_plan(amal)
        assert cost() == 1
        people.a_plan(amal)
        assert cost() == 1


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


BAD_CURSORS = [
    "", "x", "=", "%%%", "\x00", "é", "\ud800", "bnVsbA", encoded(1), encoded([]), encoded(["1"]), encoded([1, 2]),
    encoded([True]), encoded([1.5]), encoded([None]), encoded([2**63]), encoded([-(2**63) - 1]), encoded({"a": 1}),
    encoded([[1]]), "W" * 100_000,
]  # fmt: skip
OTHER_LISTS = [["2026-01-01"], [1, 1], ["2026-13-01", 1], ["x", 1], [None, 1], ["2026-01-01", "1"]]


def test_an_invalid_cursor_is_refused(amal, subtests):
    bad = [(plans.list_plans, cursor) for cursor in BAD_CURSORS]
    bad += [(plans.list_installments, encoded(value)) for value in OTHER_LISTS]
    for listed, cursor in bad:
        with subtests.test(cursor=ascii(cursor)[:30]):
            with pytest.raises(Invalid) as refused:
                listed(user(amal), cursor=cursor)
            assert [(fault.field, fault.code) for fault in refused.value.faults] == [("?cursor", "bad_cursor")]


def test_payments_and_timeline_of_a_plan_are_newest_first(amal, omar, app):
    plan_id = people.a_plan(amal)
    first, second, _ = people.installments_of(plan_id)
    people.pay(first.id, omar, "card_declined")
    people.pay(first.id, omar)
    people.pay(second.id, omar)
    db.session.rollback()
    with queries(app) as sent:
        rows, refunds = plans.payments_of(plan_id)
        listed = [(payment.state, [part.installment.number for part in payment.allocations]) for payment in rows]
        events = [(event.kind, event.actor.username) for event in plans.timeline_of(plan_id, private=True)]
    assert listed == [("succeeded", [2]), ("succeeded", [1]), ("declined", [1])]
    assert events == [
        ("payment.succeeded", "omar"),
        ("payment.succeeded", "omar"),
        ("payment.declined", "omar"),
        ("plan.opened", "amal"),
    ]
    assert refunds == {}
    assert len(sent) == 2


def test_payments_of_everybody_are_their_own(amal, omar):
    plan_id = people.a_plan(amal)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar)
    declined = people.pay(people.installments_of(plan_id)[1].id, omar, "card_declined")
    for party in (amal, omar):
        assert ids(payments.list_payments(user(party))) == [declined.id, payment.id]
        assert ids(payments.list_payments(user(party), PaymentFilters(state="declined"))) == [declined.id]
        assert ids(payments.list_payments(user(party), PaymentFilters(plan_id=plan_id), newest_first=False)) == [
            payment.id,
            declined.id,
        ]
    assert ids(payments.list_payments(user(people.sara()))) == []
    assert ids(payments.list_payments(user(people.badr()), PaymentFilters(plan_id=plan_id))) == []


def test_a_plan_is_due_next_when_its_oldest_open_installment_is(amal, omar):
    with time_machine.travel(datetime(2026, 3, 1, 9, tzinfo=UTC), tick=False):
        plan_id = people.a_plan(amal, count=2, interval="weekly")
        first, second = people.installments_of(plan_id)
        people.pay(first.id, omar)
        assert people.plan_of(plan_id).next_due_on == second.due_date
