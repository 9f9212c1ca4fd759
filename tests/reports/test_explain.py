"""Query plans on a large installation: lists, dashboards and frequent queries use indexes (EXPLAIN)."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import product

import pytest
from flask import Flask
from psycopg import ServerCursor
from sqlalchemy import Select, event, func, select, text

from portal import access
from portal.domain import clock
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.jobs import idle
from portal.models import Email, EmailChange, Merchant, Payment, User
from portal.reports import orders, tallies
from portal.reports.books import movements
from portal.reports.books.movements import MovementFilters
from portal.reports.exports.customers import export_customers
from portal.reports.exports.payments import export_payments
from portal.reports.exports.plans import export_plans
from portal.reports.merchants import attention, chasing, customers, dashboard, overview
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.payments import payments, refunds, statements
from portal.reports.payments.filters import PaymentFilters, RefundFilters
from portal.reports.plans import home, plans, rows
from portal.reports.plans.filters import ALL_PLANS, InstallmentFilters, PlanFilters
from portal.reports.ranges import Between
from portal.services.accounts import sessions
from portal.services.books import totals
from portal.services.mail import delivery
from portal.services.payments import outcomes
from portal.services.plans import lateness
from portal.services.reminders import reminders
from portal.web.plans.plans import PAGE_LENGTH
from tests.fixtures import people, servers
from tests.reports.large_shop import FILL

pytestmark = pytest.mark.xdist_group("large")  # one worker fills its database, and no other test interferes

MERCHANTS = 100
LARGEST = 7
"""The place of the business with half of the plans."""
MANY = 2_000
"""Rows that no query sorts: a list is read from an index in its order, or is short."""
SORTED = {"customers, overdue", "file of customers"}
"""The list of people by what is late of each, which no index has, and a file of all of them."""
LARGE = set(re.findall(r"INSERT INTO (\w+)", FILL)) - {"merchants", "memberships"}
SIZES = [pytest.param(25_000, marks=pytest.mark.long), pytest.param(50_000, marks=pytest.mark.proof)]


@pytest.fixture(scope="module", params=SIZES, ids="{} plans".format)
def large(request: pytest.FixtureRequest, app: Flask) -> Iterator[Flask]:
    """An app on a database with `request.param` plans of four installments, half of them of the eighth merchant."""
    with app.app_context():
        servers.fresh_database(servers.database_name(), db.engine)
        with db.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            size = {"plans": request.param, "people": request.param // 2 + MERCHANTS, "merchants": MERCHANTS}
            for statement in FILL.split(";"):
                connection.execute(text(statement), size)
        totals.rebuild()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    return app


@contextmanager
def explained(*beginnings: str) -> Iterator[list[dict]]:
    """The query plans of the statements inside the block that begin with one of `beginnings` (SELECT by default).

    The plans are for the statements' real parameters, with random_page_cost for disks without seek times. A file is
    read through a cursor, for which PostgreSQL plans the first rows to come soon.
    """
    beginnings = beginnings or ("SELECT",)
    query_plans: list[dict] = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.lstrip().startswith(beginnings):
            cursor.connection.execute("SET random_page_cost = 1.1")
            read = f"DECLARE explained CURSOR FOR {statement}" if isinstance(cursor, ServerCursor) else statement
            answer = cursor.connection.execute(f"EXPLAIN (FORMAT JSON) {read}", parameters).fetchone()[0]
            query_plans.append((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])

    event.listen(db.engine, "before_cursor_execute", explain)
    try:
        yield query_plans
    finally:
        event.remove(db.engine, "before_cursor_execute", explain)


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def _shop(place: int) -> Select[Merchant]:
    """The business at this place."""
    return select(Merchant).order_by(Merchant.id).offset(place).limit(1)


def _input(node: dict) -> float:
    """The rows that a node gets."""
    return max(part["Plan Rows"] for part in node["Plans"])


def look_as(user: Actor) -> dict:
    """The reads of this actor's pages, by name."""
    page = plans.list_plans(user).next_cursor
    later = plans.list_installments(user).next_cursor
    today, week = clock.today("UTC"), clock.today("UTC") + timedelta(days=7)
    later_on = Between(since=clock.now())
    mine = plans.list_plans(user, limit=1).items[0]
    looks = {
        "plans": lambda: plans.list_plans(user),
        "plans, second page": lambda: plans.list_plans(user, cursor=page),
        "plans, oldest first": lambda: plans.list_plans(user, newest_first=False),
        "plans, overdue": lambda: plans.list_plans(user, PlanFilters(status="overdue")),
        "plans, active": lambda: plans.list_plans(user, PlanFilters(status="active")),
        "plans, completed": lambda: plans.list_plans(user, PlanFilters(status="completed")),
        "plans of a customer": lambda: plans.list_plans(user, PlanFilters(search="person4321")),
        "plans of an email": lambda: plans.list_plans(user, PlanFilters(customer_email="person4321@example.com")),
        "plans, due before": lambda: plans.list_plans(user, PlanFilters(due_before=today)),
        "plans, due after": lambda: plans.list_plans(user, PlanFilters(due_after=today, due_before=week)),
        "plans of the API": lambda: rows.list_plan_rows(user, ALL_PLANS, newest_first=True, limit=20, cursor=None),
        "plans of the API, on": lambda: rows.list_plan_rows(user, ALL_PLANS, newest_first=True, limit=9, cursor=page),
        "installments of a plan": lambda: plans.list_installments(
            user, InstallmentFilters(plan_id=mine.id, status="paid"), limit=1
        ),
        "installments": lambda: plans.list_installments(user),
        "installments, second page": lambda: plans.list_installments(user, cursor=later),
        "installments, late": lambda: plans.list_installments(user, InstallmentFilters(status="late")),
        "installments, open": lambda: plans.list_installments(user, InstallmentFilters(status="open")),
        "installments, due soon": lambda: plans.list_installments(
            user, InstallmentFilters(due_after=today, status="pending")
        ),
        "installments of an email": lambda: plans.list_installments(
            user, InstallmentFilters(customer_email="person4321@example.com")
        ),
        "installments, last due first": lambda: plans.list_installments(user, soonest_first=False),
        "payments": lambda: payments.list_payments(user),
        "payments, declined": lambda: payments.list_payments(user, PaymentFilters(state="declined")),
        "payments, oldest first": lambda: payments.list_payments(user, newest_first=False),
        "payments of a plan": lambda: payments.list_payments(user, PaymentFilters(plan_id=mine.id)),
        "refunds": lambda: refunds.list_refunds(user),
        "refunds, created since": lambda: refunds.list_refunds(user, RefundFilters(created=later_on, currency="SAR")),
        "refunds of a customer": lambda: refunds.list_refunds(user, RefundFilters(customer_id=mine.customer_id)),
        "payments, created since": lambda: payments.list_payments(user, PaymentFilters(created=later_on)),
        "payments, updated since": lambda: payments.list_payments(user, PaymentFilters(updated=later_on)),
        "refunds, updated since": lambda: refunds.list_refunds(user, RefundFilters(updated=later_on)),
        "plans, created since": lambda: plans.list_plans(user, PlanFilters(created=later_on)),
        "plans, updated since": lambda: plans.list_plans(user, PlanFilters(updated=later_on)),
        "plans with metadata": lambda: plans.list_plans(user, PlanFilters(metadata={"branch": "Olaya"})),
        "plan by the shop's number": lambda: plans.list_plans(user, PlanFilters(external_id="order-1")),
        "installments by the shop's number": lambda: plans.list_installments(
            user, InstallmentFilters(external_id="order-1", metadata={"branch": "Olaya"})
        ),
        "number of plans": lambda: tallies.count(plans.find_plans(user, PlanFilters(status="overdue"))),
        "number of installments": lambda: tallies.count(plans.find_installments(user, InstallmentFilters())),
        "refunds of a plan": lambda: refunds.list_refunds(user, RefundFilters(plan_id=mine.id)),
        "what went back": lambda: refunds.refund_totals([mine.id, mine.id + 1]),
        "one plan": lambda: access.my_plan(user, mine.id),
        "one installment": lambda: access.my_installment(user, mine.installments[0].id),
        "its payments": lambda: plans.payments_of(mine.id),
        "its timeline": lambda: plans.timeline_of(mine.id, private=False),
    }
    if user.merchant_id is not None:
        merchant = db.session.get_one(Merchant, user.merchant_id)
        month = clock.now() - timedelta(days=30)
        second = customers.list_customers(merchant, limit=5).next_cursor
        looks |= {
            "plans, unopened": lambda: plans.list_plans(user, PlanFilters(status="unopened")),
            "payments, refused": lambda: payments.list_with_plans(user, PaymentFilters(state="declined", since=month)),
            "attention": lambda: attention.attention(merchant, overview.overview(merchant)),
            "plans, searched": lambda: plans.list_plans(user, PlanFilters(search="nothing like it")),
            "plans, by the part of a word": lambda: plans.list_plans(user, PlanFilters(search="ake num")),
            "plans, by number": lambda: plans.list_plans(user, PlanFilters(search=str(mine.id))),
            "plans, by amount": lambda: plans.list_plans(user, PlanFilters(search="SAR 4.00")),
            "installments, searched": lambda: plans.list_installments(user, InstallmentFilters(search="erson4321")),
            "installments, by amount": lambda: plans.list_installments(user, InstallmentFilters(search="99.99")),
            "payments, searched": lambda: payments.list_with_plans(user, PaymentFilters(search="erson4321")),
            "refunds, searched": lambda: refunds.list_refunds(user, RefundFilters(search="erson4321")),
            "refunds, by purchase": lambda: refunds.list_refunds(user, RefundFilters(search="ake num")),
            "payments, by purchase": lambda: payments.list_with_plans(user, PaymentFilters(search="ake num")),
            "payments, by amount": lambda: payments.list_with_plans(user, PaymentFilters(search="99.99")),
            "money in and out": lambda: movements.list_movements(user, MovementFilters()),
            "money in and out, a month": lambda: movements.list_movements(
                user, MovementFilters(today - timedelta(days=30), today, "SAR")
            ),
            "money in and out, searched": lambda: movements.list_movements(user, MovementFilters(search="erson4321")),
            "money in and out, by amount": lambda: movements.list_movements(user, MovementFilters(search="99.99")),
            "customers, by the part of a name": lambda: customers.list_customers(
                merchant, CustomerFilters(search="tomer 43")
            ),
            "plans, next due first": lambda: plans.list_plans(user, order=orders.PLANS["due"]),
            "plans of one customer": lambda: plans.list_plans(user, PlanFilters(customer_id=mine.customer_id)),
            "payments with plans": lambda: payments.list_with_plans(user),
            "payments since": lambda: payments.list_with_plans(user, PaymentFilters(since=month)),
            "payments, refunded": lambda: payments.list_with_plans(user, PaymentFilters(state="refunded")),
            "installments between": lambda: plans.list_installments(
                user, InstallmentFilters(status="open", due_after=today, due_before=today + timedelta(days=31))
            ),
            "customers": lambda: customers.list_customers(merchant, limit=5),
            "customers, created since": lambda: customers.list_customers(merchant, CustomerFilters(created=later_on)),
            "number of customers": lambda: customers.count_customers(merchant, CustomerFilters(show="owing")),
            "customers, second page": lambda: customers.list_customers(merchant, limit=5, cursor=second),
            "customers, found": lambda: customers.list_customers(merchant, CustomerFilters(search="person1")),
            "customers, owing": lambda: customers.list_customers(merchant, CustomerFilters(show="owing")),
            "customers, overdue": lambda: customers.list_customers(merchant, CustomerFilters(show="overdue")),
            "overview": lambda: overview.overview(merchant),
            "file of plans": lambda: next(export_plans(user).rows),
            "file of customers": lambda: next(export_customers(user).rows),
            "file of payments": lambda: next(export_payments(user).rows),
            "statement": lambda: statements.statement(mine),
        }
        looks["figures"] = lambda: dashboard.figures(merchant)
        looks["latest payments"] = lambda: dashboard.latest_payments(user.user_id)
        looks["chases"] = lambda: chasing.chases(merchant, range(2, 10))
        looks["who needs attention"] = lambda: dashboard.plans_needing_attention(user.user_id)
        looks["any plans"] = lambda: dashboard.has_plans(user.user_id)
    else:
        looks["home"] = lambda: home.home(user.user_id)
        looks["latest payments"] = lambda: home.latest_payments(user.user_id)
    return looks


@pytest.mark.parametrize("role", ["merchant", "customer"])
def test_no_page_reads_a_whole_table(large, role):
    with large.app_context():
        hat = select(User.id).where(User.registered_as == role).order_by(User.id).offset(7).limit(1)
        user = people.actor_of(db.session.scalars(hat).one())
        reads = []
        for name, look in look_as(user).items():
            with explained() as query_plans:
                look()
            assert query_plans, name
            reads += [
                (name, node["Node Type"], node.get("Relation Name", node["Plan Rows"]))
                for plan in query_plans
                for node in nodes(plan)
                if (node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE)
                or (name not in SORTED and node["Node Type"] == "Sort" and _input(node) > MANY)
            ]
        assert reads == [], reads


def test_later_pages_of_a_list_are_read_from_their_cursor(large):
    """Keyset pagination: no sort of the preceding rows."""
    with large.app_context():
        user = people.owner(db.session.scalars(select(Merchant.id).limit(1)).one())
        for listed in (plans.list_plans, plans.list_installments, payments.list_payments, refunds.list_refunds):
            cursor = listed(user, limit=20).next_cursor
            with explained() as query_plans:
                listed(user, limit=10, cursor=cursor)
            (first, *_) = query_plans
            read = [node for node in nodes(first) if node.get("Relation Name") in LARGE]
            assert not [node for node in nodes(first) if node["Node Type"] == "Sort"], (listed.__name__, first)
            assert any("Index" in node["Node Type"] for node in read)


def test_closed_plans_are_read_in_their_order_and_no_open_ones_on_the_way(large):
    """The newest plans of a business are all open: a list by day that leaves them out would read each of them."""
    with large.app_context():
        user = people.owner(db.session.scalars(_shop(LARGEST)).one().id)
        for filters, name in product(
            (PlanFilters(status="completed"), PlanFilters(closed_by="paid")), ("made", "-made")
        ):
            with explained() as query_plans:
                plans.list_plans(user, filters, order=orders.PLANS[name], limit=PAGE_LENGTH)
            used = [node["Index Name"] for node in nodes(query_plans[0]) if node.get("Relation Name") == "plans"]
            assert used == ["ix_plans_closed_merchant_id_created_at_id"], (name, used)


@pytest.mark.parametrize("noun", ["plans", "installments", "payments", "refunds", "movements"])
def test_every_order_of_a_list_is_read_from_an_index(large, noun):
    """The first page and a later one sort no rows. Of a small business the few rows of two tables may be sorted."""
    listed, offered = {
        "plans": (plans.list_plans, orders.PLANS),
        "installments": (plans.list_installments, orders.INSTALLMENTS),
        "payments": (payments.list_with_plans, orders.PAYMENTS),
        "refunds": (refunds.list_with_payments, orders.REFUNDS),
        "movements": (partial(movements.list_movements, filters=MovementFilters()), orders.MOVEMENTS),
    }[noun]
    with large.app_context():
        small, large_one = (people.owner(db.session.scalars(_shop(place)).one().id) for place in (0, LARGEST))
        for name, order, user in [
            (name, order, user) for name, order in offered.items() for user in (small, large_one)
        ]:
            if order.lead and user is small:
                continue
            cursor = listed(user, order=order, limit=20).next_cursor
            for position in (None, cursor):
                with explained() as query_plans:
                    listed(user, order=order, limit=10, cursor=position)
                (first, *_) = query_plans
                assert "Sort" not in {node["Node Type"] for node in nodes(first)}, (name, position, first)


def test_customers_of_a_few_days_are_found_by_their_index(large):
    """Neither the list nor its count walks over all customers of the business."""
    with large.app_context():
        shop = db.session.scalars(_shop(LARGEST)).one()
        day = Between(clock.now() - timedelta(days=41), clock.now() - timedelta(days=40))
        filters = CustomerFilters(created=day)
        for name, order in orders.CUSTOMERS.items():
            with explained() as query_plans:
                customers.list_customers(shop, filters, order=order, limit=30)
            used = {node.get("Index Name") for node in nodes(query_plans[0])}
            assert "ix_customers_merchant_id_created_at" in used, (name, query_plans[0])
        with explained() as query_plans:
            customers.tally_customers(shop, filters)
        used = {node.get("Index Name") for plan in query_plans for node in nodes(plan)}
        assert "ix_customers_merchant_id_created_at" in used, query_plans


def test_customers_are_read_in_the_order_of_an_index(large):
    """By account, newest plan, name and balance. The amounts of a page's customers are summed for them alone."""
    with large.app_context():
        small, large_one = (db.session.scalars(_shop(place)).one() for place in (0, LARGEST))
        for name, order, shop in [
            (name, order, shop) for name, order in orders.CUSTOMERS.items() for shop in (small, large_one)
        ]:
            if customers.by_balance(order) and shop is small:
                continue  # the few rows of two tables may be sorted
            cursor = customers.list_customers(shop, order=order, limit=20).next_cursor
            for position in (None, cursor):
                with explained() as query_plans:
                    customers.list_customers(shop, order=order, limit=10, cursor=position)
                kinds = {node["Node Type"] for node in nodes(query_plans[0])}
                assert not {"Sort", "Incremental Sort"} & kinds, (name, position, query_plans[0])


def test_queries_of_every_request_and_of_frequent_jobs_use_an_index(large):
    with large.app_context():
        with explained() as query_plans:
            db.session.scalars(User.by_login("person77@example.com")).all()
            db.session.scalars(User.by_login("person77")).all()
            db.session.scalars(EmailChange.holder_of("person77@example.com", clock.now())).all()
            sessions.find("nobody's")
            outcomes.settle_unknown_payments()
            db.session.scalars(Payment.waiting(clock.now())).all()
        assert len(query_plans) == 6
        scans = [node for plan in query_plans for node in nodes(plan) if node.get("Relation Name") in LARGE]
        assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}


@pytest.mark.parametrize("job", idle.FINDS)
def test_the_look_before_a_periodic_job_uses_an_index(large, job):
    with large.app_context(), db.engine.connect() as connection:
        looked, parameters = idle.statement(idle.FINDS[job], clock.now())
        driver = connection.connection.driver_connection
        driver.execute("SET random_page_cost = 1.1")
        ((query_plan,),) = driver.execute(f"EXPLAIN (FORMAT JSON) {looked}", parameters).fetchone()
        reads = [node for node in nodes(query_plan["Plan"]) if node.get("Relation Name") in LARGE]
        kinds = {node["Node Type"] for node in reads}
        assert kinds <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, query_plan


def test_the_purge_of_mails_and_their_links_uses_an_index(large):
    with large.app_context():
        ended = Email.ended_at < clock.now() - delivery.LINK_RETENTION
        holding = Email.state == "kept", Email.data.has_key("holds_link"), ended
        mails = db.session.scalar(select(func.count()).where(*holding))
        with explained("UPDATE", "DELETE") as query_plans:
            assert delivery.purge() == mails > 0
        reads = [node for plan in query_plans for node in nodes(plan) if node.get("Relation Name") == "emails"]
        used = {node["Index Name"] for plan in query_plans for node in nodes(plan) if "Index Name" in node}
        assert "Seq Scan" not in {node["Node Type"] for node in reads}
        assert used >= {"ix_emails_holding_link_ended_at", "ix_emails_ended_at"}


def test_the_scans_for_reminders_and_lateness_use_one_index_without_a_sort(large):
    """The scans read open installments in batches, in the order of due dates. A batch begins after the previous one."""
    with large.app_context():
        look = reminders._look()
        day = look.first_day
        walk = {"after_date": day - timedelta(90), "after_id": 77, "batch": reminders.BATCH, "now": look.now}
        range_of_days = {"first": day - timedelta(380), "last": day, "least": 1, "most": 90}
        scan = {"utc": look.now.replace(tzinfo=None), **range_of_days}
        for statement, parameters in (
            (reminders._SCAN, look.parameters | walk | scan),
            (lateness._SCAN, walk | {"before": day}),
        ):
            db.session.execute(text("SET LOCAL random_page_cost = 1.1"))
            (query_plan,) = db.session.scalar(text(f"EXPLAIN (FORMAT JSON) {statement.text}"), parameters)
            reads = [node for node in nodes(query_plan["Plan"]) if node.get("Relation Name") == "installments"]
            assert [(node["Node Type"], node["Index Name"]) for node in reads] == [
                ("Index Scan", "ix_installments_open_due_date_id")
            ]
            assert "ROW(due_date, id) > " in reads[0]["Index Cond"]
            looked = next(node for node in nodes(query_plan["Plan"]) if node.get("Subplan Name") == "CTE scanned")
            assert "Sort" not in {node["Node Type"] for node in nodes(looked)}
            db.session.rollback()
