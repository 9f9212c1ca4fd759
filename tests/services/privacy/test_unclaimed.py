"""Emails of people without an account, whose plans went to another email."""

from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.extensions import db
from portal.models import Customer, Email, User
from portal.reports.operations import checks
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.plans import customer_emails
from tests.fixtures import people

WRONG, RIGHT = "leyla@example.com", "layla@example.com"
LATER = timedelta(days=31)


@pytest.fixture
def plan_id(amal: int) -> int:
    """A plan that went from WRONG to RIGHT, and the mail that says so is out."""
    plan = people.a_plan(amal, WRONG, description="A ring")
    move(plan, RIGHT)
    delivery.drain()
    return plan


def move(plan: int, email: str) -> None:
    customer_emails.correct(plan, email, actor=people.owner(people.plan_of(plan).merchant_id))


def emails() -> set[str]:
    """Which of both emails a record holds."""
    db.session.rollback()
    return set(db.session.scalars(db.select(User.email).where(User.email.in_([WRONG, RIGHT]))))


def purge(after: timedelta = LATER) -> None:
    with time_machine.travel(clock.now() + after):
        retention.purge_expired()


def test_the_email_goes_30_days_after_the_mail(plan_id: int) -> None:
    purge(timedelta(days=29))
    assert emails() == {WRONG, RIGHT}
    purge()
    assert emails() == {RIGHT}
    former = db.session.scalars(db.select(User).where(User.erased_at.is_not(None))).one()
    assert former.email.startswith("erased-") and former.deactivated_at is not None
    assert db.session.scalars(db.select(Email).where(Email.to_user_id == former.id)).all() == []
    assert [check for check in checks.run() if check[1]] == []
    purge()


def test_another_plan_keeps_it(plan_id: int, amal: int) -> None:
    people.a_plan(amal, WRONG)
    purge()
    assert emails() == {WRONG, RIGHT}


def test_a_plan_that_left_again_starts_the_30_days_again(plan_id: int) -> None:
    move(plan_id, WRONG)
    with time_machine.travel(clock.now() + LATER):
        move(plan_id, RIGHT)
        delivery.drain()
        retention.purge_expired()
    assert emails() == {WRONG, RIGHT}


def test_a_person_with_an_account_keeps_it(amal: int) -> None:
    people.omar()
    move(people.a_plan(amal), RIGHT)
    delivery.drain()
    purge()
    assert db.session.scalar(db.select(User.erased_at).where(User.email == "omar@example.com")) is None


@pytest.mark.parametrize("column", ["blocked_at", "barred_at"])
def test_a_person_for_whom_a_business_makes_no_plan_stays(plan_id: int, column: str) -> None:
    former = db.session.scalars(db.select(User).where(User.email == WRONG)).one()
    pair = db.session.scalars(db.select(Customer).where(Customer.user_id == former.id)).one()
    setattr(pair, column, clock.now())
    db.session.commit()
    purge()
    assert emails() == {WRONG, RIGHT}


def test_the_business_may_make_a_plan_for_the_email_again(plan_id: int, amal: int) -> None:
    purge()
    again = people.a_plan(amal, WRONG)
    assert people.plan_of(again).customer.email == WRONG
