"""The demo data has every state and is made once. Demo logins work on a loopback address only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import MetaData, func, select

from portal.domain import clock
from portal.extensions import db
from portal.local import demo_data
from portal.models import Email, Event, Invitation, Merchant, Payment, Plan, User
from portal.reports.merchants import overview
from portal.reports.operations import checks
from portal.services.accounts import accounts, password_resets, passwords, sessions
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.sessions import BadCredentials
from portal.services.payments import outcomes
from tests.fixtures import people, servers


def everything() -> dict[str, list]:
    """Every row of every table, as text."""
    db.session.rollback()
    tables = MetaData()
    tables.reflect(db.engine)
    with db.engine.connect() as connection:
        return {
            name: sorted(str(tuple(row)) for row in connection.execute(select(table)))
            for name, table in tables.tables.items()
        }


@servers.made_once
def seeded() -> bool:
    """The demo data, in the empty database of a test."""
    return demo_data.seed()


def test_two_merchants_four_customers_and_twenty_plans_in_every_state(context):
    assert seeded() is True
    assert {merchant.home_currency for merchant in db.session.scalars(select(Merchant))} == {"SAR", "KWD"}
    assert db.session.scalar(select(func.count(User.id)).where(User.registered_as == "customer")) == 4
    plans = list(db.session.scalars(select(Plan)))
    assert len(plans) == 20
    assert {plan.status for plan in plans} == {"active", "overdue", "completed", "cancelled"}
    assert {plan.interval for plan in plans} == {"weekly", "biweekly", "monthly"}
    assert {row.status for plan in plans for row in plan.installments} == {
        "pending",
        "late",
        "paid",
        "cancelled",
        "written_off",
    }
    assert set(db.session.scalars(select(Payment.state))) == {"succeeded", "declined", "in_flight", "reversed"}
    assert "payment.declined" in set(db.session.scalars(select(Event.kind)))
    assert {invitation.plan.customer.is_claimed for invitation in db.session.scalars(select(Invitation))} == {False}
    assert all(plan.description for plan in plans)
    assert {plan.merchant_id for plan in plans if plan.status == "overdue"} == {plan.merchant_id for plan in plans}
    assert [(rule, count) for rule, count in checks.run() if count] == []


@pytest.mark.long
@pytest.mark.parametrize("hour", [*(pytest.param(hour, marks=pytest.mark.long) for hour in (1, 8, 13)), 20])
def test_the_demo_data_can_be_made_at_any_hour(context, hour):
    """The hours of its steps are in the future in the morning, and in the past in the evening."""
    day = clock.now().replace(hour=hour, minute=30)
    with time_machine.travel(day, tick=True):
        assert demo_data.seed() is True
        assert demo_data.seed() is False
    assert [(rule, count) for rule, count in checks.run() if count] == []


@pytest.mark.long
def test_a_second_run_changes_nothing_even_after_changes_by_users(context):
    seeded()
    before = everything()
    assert demo_data.seed() is False
    assert everything() == before
    with time_machine.travel(datetime.now(UTC) + timedelta(days=3)):
        outcomes.settle_unknown_payments()
        omar = sessions.authenticate("omar", demo_data.PASSWORD)
        plan = db.session.scalars(select(Plan).where(Plan.state == "active", Plan.customer_id == omar)).first()
        people.pay(next(row.id for row in plan.installments if row.is_open), omar)
        before = everything()
        assert demo_data.seed() is False
        assert everything() == before


@pytest.mark.parametrize("plans_made", [pytest.param(0, marks=pytest.mark.long), 7])
def test_a_run_completes_an_interrupted_one(context, plans_made):
    all_plans, demo_data.PLANS = demo_data.PLANS, demo_data.PLANS[:plans_made]
    try:
        demo_data.seed()
    finally:
        demo_data.PLANS = all_plans
    assert demo_data.seed() is True
    assert db.session.scalar(select(func.count(Plan.id))) == 20
    assert demo_data.seed() is False


def test_instants_are_in_the_past_and_in_the_order_of_the_rows(context):
    seeded()
    now = datetime.now(UTC)
    opened = {plan.id: plan.created_at for plan in db.session.scalars(select(Plan))}
    payment_rows = list(db.session.scalars(select(Payment).order_by(Payment.id)))
    assert min(opened.values()) < now - timedelta(days=150) and max(opened.values()) <= now
    assert len({payment.created_at.date() for payment in payment_rows}) > 15
    assert all(opened[payment.plan_id] < payment.created_at <= now for payment in payment_rows)
    assert [payment.created_at for payment in payment_rows] == sorted(payment.created_at for payment in payment_rows)
    events = list(db.session.scalars(select(Event).order_by(Event.id)))
    assert [event.created_at for event in events] == sorted(event.created_at for event in events)
    for merchant in db.session.scalars(select(Merchant)):
        totals = overview.overview(merchant).home
        assert 0 < totals.on_time < totals.past


def test_the_demo_password_passes_the_password_rules(context):
    assert {password for _, _, password in demo_data.LOGINS} == {demo_data.PASSWORD}
    assert all(passwords.faults(password, hints=(name,)) == [] for _, name, password in demo_data.LOGINS)


@pytest.fixture
def visitors(context):
    """The demo accounts without plans."""
    for new in (*demo_data.MERCHANTS, *demo_data.CUSTOMERS):
        accounts.register(new)


def test_demo_logins_work_on_this_machine(app, visitors, monkeypatch):
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host=host))
        for login in ("amal", "omar", "OMAR", "omar@demo.example.com"):
            assert sessions.authenticate(login, demo_data.PASSWORD)


def test_demo_logins_are_refused_on_any_other_address(app, visitors, monkeypatch, subtests):
    people.a_customer("hana")
    elsewhere = ("0.0.0.0", "::", "192.168.1.20", "example.com", "127.example.com", "localhost.example.com")
    for changes in [{"host": host} for host in elsewhere] + [{"env": "production"}]:
        monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], **{"host": "127.0.0.1"} | changes))
        with subtests.test(**changes):
            for _, name, password in demo_data.LOGINS:
                for login in (name, f"{name}@{demo_data.DOMAIN}", f" {name.upper()} "):
                    with pytest.raises(BadCredentials):
                        sessions.authenticate(login, password)
            assert sessions.authenticate("hana", people.PASSWORD)


def test_a_demo_session_is_invalid_on_any_other_address(app, visitors, monkeypatch):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host="127.0.0.1"))
    _, name, password = demo_data.LOGINS[0]
    token = sessions.start(sessions.authenticate(name, password))
    assert sessions.find(token) is not None
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host="0.0.0.0"))
    assert sessions.find(token) is None


def test_demo_accounts_are_marked_and_others_are_not(context):
    """The invited customer is marked as well, before the first plan posts a mail."""
    all_plans, demo_data.PLANS = demo_data.PLANS, ()
    try:
        demo_data.seed()
    finally:
        demo_data.PLANS = all_plans
    people.a_customer("hana")
    marks = {user.email.partition("@")[0]: user.is_demo for user in db.session.scalars(select(User))}
    assert marks == dict.fromkeys(("amal", "badr", "omar", "sara", "yusuf", "noor"), True) | {"hana": False}


def test_a_registration_with_the_demo_domain_is_no_demo_account(context, app, monkeypatch):
    """The user chose the password, so the account may sign in on any address."""
    accounts.register(NewAccount("customer", "lina", f"lina@{demo_data.DOMAIN}", people.PASSWORD))
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host="0.0.0.0"))
    assert sessions.authenticate("lina", people.PASSWORD)
    assert not demo_account("lina").is_demo


def test_a_demo_account_gets_a_password_reset_on_a_loopback_address_only(app, visitors, monkeypatch):
    for host, kinds in (("0.0.0.0", []), ("127.0.0.1", ["password_reset"])):
        monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host=host))
        password_resets.ask("omar")
        db.session.rollback()
        assert list(db.session.scalars(select(Email.kind))) == kinds


def demo_account(name):
    return db.session.scalars(User.by_login(name)).one()
