"""The customer's link says that its reader does not know the shop."""

import pytest
from sqlalchemy import select

from portal.domain import permissions
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Event, Reminder, ShopReport
from portal.reports.operations import shop_reports as reports
from portal.services.mail import delivery
from portal.services.plans import invitations, shop_reports
from portal.services.reminders import manual_reminders, reminders
from tests.fixtures import mails, people
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import text_of

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olga():
    return people.an_operator()


@pytest.fixture
def plan_id():
    return people.a_plan(people.amal(), "nadia@example.com", description="A ring")


def report_of(plan_id):
    db.session.rollback()
    return db.session.scalars(select(ShopReport).where(ShopReport.plan_id == plan_id)).one()


def test_a_report_is_recorded_once_a_link_and_mailed_to_every_operator(olga, plan_id, catcher):
    delivery.drain()
    for _ in range(3):
        shop_reports.report(people.token_of(plan_id))
    delivery.drain()
    (mail,) = [mail for mail in catcher.mails if mail["To"] == "olga@example.com"]
    assert "Amal's Bakery" in mail["Subject"] and "http://localhost/operator#shop-reports" in text_of(mail)
    for words in ("A ring", "nadia", "/invitations/"):
        assert words not in text_of(mail)
    listed, count = reports.open_reports()
    assert ([(row.business, row.of_shop) for row in listed], count) == ([("Amal's Bakery", 1)], 1)
    kinds = db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id)).all()
    assert kinds.count("shop.reported") == 1


def test_a_reported_plan_causes_no_reminders_until_an_operator_clears_it(olga, catcher):
    amal = people.amal()
    plan_id = people.a_plan(amal, "nadia@example.com", first=-1)
    shop_reports.report(people.token_of(plan_id))
    for act, code in (
        (lambda: manual_reminders.send_now(plan_id, actor=people.owner(amal)), "shop_reported"),
        (lambda: invitations.mail_again(plan_id, actor=people.owner(amal)), "shop_reported"),
    ):
        with pytest.raises((Refused, Invalid)) as refused:
            act()
        assert refused.value.code == code
    reminders.send_overdue_reminders()
    assert set(db.session.scalars(select(Reminder.state))) <= {"dropped"}
    shop_reports.clear(report_of(plan_id).id, actor=permissions.operator(olga))
    shop_reports.clear(report_of(plan_id).id, actor=permissions.operator(olga))
    assert people.plan_of(plan_id).reported_at is None and reports.open_reports() == ([], 0)
    manual_reminders.send_now(plan_id, actor=people.owner(amal))
    kinds = db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id)).all()
    assert kinds.count("shop.cleared") == 1
    delivery.drain()
    told = [mail["Subject"] for mail in catcher.mails if mail["To"] == "olga@example.com"]
    assert told.count("A report about Amal's Bakery is off the list") == 1


def test_a_reminder_that_waits_when_the_report_comes_is_not_sent(plan_id, catcher):
    amal = people.plan_of(plan_id).merchant_id
    manual_reminders.send_now(plan_id, actor=people.owner(amal))
    shop_reports.report(people.token_of(plan_id))
    delivery.drain()
    assert [mail.state for mail in mails.outbox() if mail.kind == "reminder"] == ["dropped"]


def test_only_the_customers_link_reports(plan_id):
    for token in (people.token_of(plan_id, "pay"), "x", ""):
        with pytest.raises(NotFound):
            shop_reports.report(token)
    token = people.token_of(plan_id)
    people.mailed_again(plan_id)
    with pytest.raises(NotFound):
        shop_reports.report(token)


def test_only_operators_clear_a_report(plan_id, olga):
    shop_reports.report(people.token_of(plan_id))
    with pytest.raises(Forbidden):
        shop_reports.clear(report_of(plan_id).id, actor=people.owner(people.plan_of(plan_id).merchant_id))
    with pytest.raises(NotFound):
        shop_reports.clear(10**6, actor=permissions.operator(olga))


def test_of_eight_reports_at_once_one_is_recorded(app, olga, plan_id):
    token = people.token_of(plan_id)
    assert at_once(app, [lambda: shop_reports.report(token)] * 8) == [None] * 8
    assert report_of(plan_id)
    assert [mail.kind for mail in mails.outbox()].count("shop_reported") == 1
