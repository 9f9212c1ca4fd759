"""The demo data: every state, made once, and worth nothing to anybody who isn't sitting at this machine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import MetaData, func, select

from portal.extensions import db
from portal.local import demo_data
from portal.models import Email, Event, Invitation, Merchant, Payment, Plan, User
from portal.reports.merchants import overview
from portal.reports.operations import checks
from portal.services.accounts import accounts, password_resets, passwords, sessions
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.sessions import BadCredentials
from portal.services.payments import outcomes
from tests.fixtures import people


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


def test_two_merchants_four_customers_and_twenty_plans_in_every_state(context):
    assert demo_data.seed() is True
    assert {merchant.home_currency for merchant in db.session.scalars(select(Merchant))} == {"SAR", "KWD"}
    assert db.session.scalar(select(func.count(User.id)).where(User.role == "customer")) == 4
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
    assert [found for found in checks.run() if found[1]] == []


def test_a_second_run_changes_nothing_even_after_people_have_played_with_it(context):
    demo_data.seed()
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


@pytest.mark.parametrize("plans_made", [0, 7])
def test_what_a_killed_run_left_out_is_added_by_the_next(context, plans_made):
    whole, demo_data.PLANS = demo_data.PLANS, demo_data.PLANS[:plans_made]
    try:
        demo_data.seed()
    finally:
        demo_data.PLANS = whole
    assert demo_data.seed() is True
    assert db.session.scalar(select(func.count(Plan.id))) == 20
    assert demo_data.seed() is False


def test_it_has_a_past_in_which_nothing_comes_before_its_time(context):
    demo_data.seed()
    now = datetime.now(UTC)
    made = {plan.id: plan.created_at for plan in db.session.scalars(select(Plan))}
    paid = list(db.session.scalars(select(Payment).order_by(Payment.id)))
    assert min(made.values()) < now - timedelta(days=150) and max(made.values()) <= now
    assert len({payment.created_at.date() for payment in paid}) > 15
    assert all(made[payment.plan_id] < payment.created_at <= now for payment in paid)
    assert [payment.created_at for payment in paid] == sorted(payment.created_at for payment in paid)
    events = list(db.session.scalars(select(Event).order_by(Event.id)))
    assert [event.created_at for event in events] == sorted(event.created_at for event in events)
    for merchant in db.session.scalars(select(Merchant)):
        totals = overview.overview(merchant).home
        assert 0 < totals.on_time < totals.past


def test_the_password_is_one_that_people_may_choose():
    assert {password for _, _, password in demo_data.LOGINS} == {demo_data.PASSWORD}
    assert all(passwords.faults(password, username=name) == [] for _, name, password in demo_data.LOGINS)


@pytest.fixture
def visitors(context):
    """The demo's people without its plans."""
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


def test_a_demo_session_ends_when_others_can_connect(app, visitors, monkeypatch):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host="127.0.0.1"))
    _, name, password = demo_data.LOGINS[0]
    token = sessions.start(sessions.authenticate(name, password))
    assert sessions.find(token) is not None
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host="0.0.0.0"))
    assert sessions.find(token) is None


def test_everybody_of_the_demo_is_marked_and_nobody_else(context):
    """The invited customer, too, and before there is a plan whose mail could go out."""
    whole, demo_data.PLANS = demo_data.PLANS, ()
    try:
        demo_data.seed()
    finally:
        demo_data.PLANS = whole
    people.a_customer("hana")
    marks = {user.email.partition("@")[0]: user.is_demo for user in db.session.scalars(select(User))}
    assert marks == dict.fromkeys(("amal", "badr", "omar", "sara", "yusuf", "noor"), True) | {"hana": False}


def test_an_address_of_the_demos_domain_makes_no_demo_account(context, app, monkeypatch):
    """Registered by a person, who chose the password: it signs in from anywhere."""
    accounts.register(NewAccount("customer", "lina", f"lina@{demo_data.DOMAIN}", people.PASSWORD))
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host="0.0.0.0"))
    assert sessions.authenticate("lina", people.PASSWORD)
    assert not demo_account("lina").is_demo


def test_a_demo_account_gets_no_link_for_a_forgotten_password_where_others_can_connect(app, visitors, monkeypatch):
    for host, kinds in (("0.0.0.0", []), ("127.0.0.1", ["password_reset"])):
        monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], host=host))
        password_resets.ask("omar")
        db.session.rollback()
        assert list(db.session.scalars(select(Email.kind))) == kinds


def demo_account(name):
    return db.session.scalars(User.by_login(name)).one()
