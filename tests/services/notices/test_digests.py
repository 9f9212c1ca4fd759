"""The digest of a business: what it tells, to whom, when, and never twice."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant, NoticeSettings, User
from portal.services import events
from portal.services.adjustments import cancellations, voids
from portal.services.mail import delivery
from portal.services.notices import digests, settings
from portal.services.operations import account_deactivations
from portal.services.payments import automatic, manual_payments, payment_methods, refunds
from portal.services.privacy import erasures
from portal.services.team import members
from tests.fixtures import mails, people
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import sending, text_of
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")

NOON = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""Noon in Riyadh."""


@pytest.fixture(autouse=True)
def at_noon():
    with time_machine.travel(NOON):
        yield


@pytest.fixture
def omar(at_noon):
    return people.omar()


@pytest.fixture
def shop(at_noon):
    """Amal's shop, whose settings exist."""
    amal = people.amal()
    digests.post_due()
    return amal


def job(at=None):
    """Run the jobs once. Returns the number of digests that were posted."""
    with time_machine.travel(at or clock.now()):
        events.number_new()
        posted = digests.post_due()
        delivery.drain()
    db.session.rollback()
    return posted


def morning(days=1, hour=8, minute=1):
    """An instant of the next morning in Riyadh."""
    return NOON.replace(hour=hour - 3, minute=minute) + timedelta(days=days)


def digest_texts(catcher, to="amal@example.com"):
    """The texts of the digests to this address, with ordinary spaces."""
    theirs = [mail for mail in catcher.mails if mail["To"] == to and "/dashboard" in text_of(mail)]
    return [" ".join(text_of(mail).replace("\u00a0", " ").split()) for mail in theirs]


def first_of(plan_id):
    return people.installments_of(plan_id)[0].id


def test_a_day_without_news_has_no_digest(shop, catcher):
    assert [job(morning(day)) for day in (1, 2, 3)] == [0, 0, 0]
    assert catcher.mails == []


def test_the_digest_comes_at_eight_and_tells_what_happened(shop, omar, catcher):
    one, two = people.a_plan(shop, total=50_00, count=2), people.a_plan(shop, total=20_00, count=1)
    people.pay(first_of(one), omar)
    people.pay(first_of(two), omar)
    refunds.refund(one, actor=people.owner(shop), amount=5_00, reason="Sorry")
    people.pay(people.installments_of(one)[1].id, omar, "card_declined")
    assert job() == 0, "not at noon"
    assert job(morning(hour=7, minute=59)) == 0
    assert job(morning()) == 1
    (text,) = digest_texts(catcher)
    for words in ("2 payments received (SAR 45.00)", "1 plan paid in full", "1 refund (SAR 5.00)",
                  "1 payment declined (SAR 25.00)", "omar", "A cake"):  # fmt: skip
        assert words in text, words
    assert job(morning(minute=2)) == 0 and job(morning(2)) == 0, "never twice"
    assert len(digest_texts(catcher)) == 1


def test_what_is_no_longer_true_is_not_told(shop, omar, catcher):
    owner, today = people.owner(shop), people.today_of(shop)
    one, two, three = (people.a_plan(shop, total=50_00, count=1) for _ in range(3))
    people.pay(first_of(one), omar, "card_declined")  # and paid afterwards, and the bank took it back
    paid = people.pay(first_of(one), omar).id
    people.bounce(paid)
    cash = manual_payments.record(two, actor=owner, amount=50_00, method="cash", received_on=today)
    voids.void(cash.payment_id, actor=owner, reason="Typed twice")
    people.pay(first_of(three), omar, "card_declined")
    cancellations.cancel(three, actor=owner, reason="Sold out")
    job(morning())
    (text,) = digest_texts(catcher) or [""]
    assert "received" not in text and "in full" not in text
    assert "1 payment declined (SAR 50.00)" in text, "plan one is open again"


def test_a_digest_of_which_nothing_is_true_is_dropped(shop, omar, catcher):
    plan_id = people.a_plan(shop, total=50_00, count=1)
    people.pay(first_of(plan_id), omar, "card_declined")
    cancellations.cancel(plan_id, actor=people.owner(shop), reason="Sold out")
    assert job(morning()) == 1
    assert [(mail.state, mail.last_error) for mail in mails.outbox() if mail.kind == "digest"] == [
        ("dropped", "nothing_to_tell")
    ]
    assert digest_texts(catcher) == []


def test_automatic_payment_that_failed_or_stopped_is_told(shop, omar, catcher):
    failed, stopped = (people.a_plan(shop, total=50_00, count=1) for _ in range(2))
    good, bad = (payment_methods.save(omar, card).method_id for card in ("card_ok", "card_insufficient_funds"))
    automatic.turn_on(failed, customer_id=omar, method_id=bad)
    automatic.turn_on(stopped, customer_id=omar, method_id=good)
    payment_methods.remove(omar, good)
    assert automatic.collect_automatic_payments() == 1
    job(morning())
    (text,) = digest_texts(catcher)
    assert "2 automatic payments failed or stopped" in text
    assert "It failed." in text and "Automatic payment stopped." in text and "declined" not in text


def test_a_payment_that_is_late_for_a_week_is_told_once(shop, catcher):
    plan_id = people.a_plan(shop, total=50_00, count=2, first=0)
    assert [job(morning(day)) for day in range(1, 8)] == [0] * 7
    assert job(morning(8)) == 1, "late since 3 March, so for a week on 10 March"
    assert [job(morning(day)) for day in range(9, 13)] == [0] * 4
    (text,) = digest_texts(catcher)
    assert "1 payment late for a week (SAR 25.00)" in text and "Was due on" in text
    assert people.plan_of(plan_id).state == "active"


def test_a_late_payment_that_was_paid_since_is_not_told(shop, omar, catcher):
    plan_id = people.a_plan(shop, total=50_00, count=2)
    with time_machine.travel(morning(7, hour=20)):
        settings.choose(people.owner(shop), on=["late"], at_once=False)
        people.pay(first_of(plan_id), omar)
    job(morning(8))
    assert digest_texts(catcher) == []


def test_after_a_downtime_one_digest_tells_everything(shop, omar, catcher):
    plan_id = people.a_plan(shop, total=90_00, count=9, interval="weekly")
    for day, row in enumerate(people.installments_of(plan_id)[:3]):
        with time_machine.travel(NOON + timedelta(days=day)):
            people.pay(row.id, omar)
    assert job(morning(4, hour=3)) == 0, "a night waits for the morning"
    assert job(morning(4)) == 1
    (text,) = digest_texts(catcher)
    assert "3 payments received (SAR 30.00)" in text


def test_while_the_mail_server_is_away_the_days_become_one_digest(app, shop, omar, catcher):
    rows = people.installments_of(people.a_plan(shop, total=90_00, count=9, interval="weekly"))
    away = mails.Catcher()
    with sending(app, away):
        for day in range(3):
            with time_machine.travel(NOON + timedelta(days=day)):
                people.pay(rows[day].id, omar)
            job(morning(day + 1))
    job(morning(3, hour=9))
    assert ["SAR 30.00" in text for text in digest_texts(catcher)] == [True]


def test_two_schedulers_at_once_post_one_digest(app, shop, omar, catcher):
    people.pay(first_of(people.a_plan(shop)), omar)
    events.number_new()
    with time_machine.travel(morning()):
        assert sum(at_once(app, [digests.post_due] * 4)) == 1
        delivery.drain()
    assert len(digest_texts(catcher)) == 1


def test_at_once_means_with_the_next_run_and_never_twice(shop, omar, catcher):
    settings.choose(people.owner(shop), on=["paid"], at_once=True)
    rows = people.installments_of(people.a_plan(shop))
    assert job() == 0
    people.pay(rows[0].id, omar)
    assert [job() for _ in range(3)] == [1, 0, 0]
    people.pay(rows[1].id, omar, "card_declined")
    assert job() == 0, "declined payments are off"
    people.pay(rows[1].id, omar)
    assert [job() for _ in range(2)] == [1, 0]
    assert job(morning()) == 0
    assert ["1 payment received" in text for text in digest_texts(catcher)] == [True, True]


def test_each_owner_and_manager_gets_their_own(shop, omar, catcher):
    zaid, noor, _lina = (people.a_member(*who) for who in (
        ("zaid", shop, "manager"), ("noor", shop, "manager"), ("lina", shop, "collector")))  # fmt: skip
    db.session.get_one(User, zaid).language = "ar"
    db.session.commit()
    settings.choose(people.permissions.member(noor, shop, "manager"), on=["refunded"], at_once=False)
    people.pay(first_of(people.a_plan(shop)), omar)
    job(morning())
    counts = {who: len(digest_texts(catcher, f"{who}@example.com")) for who in ("amal", "zaid", "noor", "lina")}
    assert counts == {"amal": 1, "zaid": 1, "noor": 0, "lina": 0}


def test_a_member_is_not_told_about_their_own_plan(shop, catcher):
    zaid = people.a_member("zaid", shop, "manager")
    digests.post_due()
    people.pay(first_of(people.a_plan(shop, "zaid@example.com")), zaid)
    job(morning())
    assert len(digest_texts(catcher)) == 1 and digest_texts(catcher, "zaid@example.com") == []


def test_a_new_manager_is_told_from_then_on(shop, omar, catcher):
    zaid = people.a_member("zaid", shop, "viewer")
    rows = people.installments_of(people.a_plan(shop))
    people.pay(rows[0].id, omar)
    events.number_new()
    members.change(zaid, actor=people.owner(shop), role="manager", refund_limit=None)
    people.pay(rows[1].id, omar)
    job(morning())
    assert "1 payment received" in digest_texts(catcher, "zaid@example.com")[0]
    assert "2 payments received" in digest_texts(catcher)[0]


def test_a_deactivated_or_demoted_reader_gets_none(shop, omar, catcher):
    zaid, noor = people.a_member("zaid", shop, "manager"), people.a_member("noor", shop, "manager")
    digests.post_due()
    people.pay(first_of(people.a_plan(shop)), omar)
    with time_machine.travel(morning()):
        events.number_new()
        assert digests.post_due() == 3
        account_deactivations.deactivate(zaid, actor=None, reason="Left")
        members.change(noor, actor=people.owner(shop), role="viewer", refund_limit=None)
        delivery.drain()
    assert [len(digest_texts(catcher, f"{who}@example.com")) for who in ("amal", "zaid", "noor")] == [1, 0, 0]
    reasons = {mail.last_error for mail in mails.outbox() if mail.kind == "digest" and mail.state == "dropped"}
    assert reasons == {"account_closed", "not_wanted"}


def test_a_changed_zone_moves_the_morning(shop, omar, catcher):
    people.pay(first_of(people.a_plan(shop)), omar)
    db.session.get_one(Merchant, shop).time_zone = "America/New_York"
    db.session.commit()
    assert job(morning()) == 0, "the night of 3 March in New York"
    assert job(morning(hour=16)) == 1, "8:01 there"


@pytest.mark.parametrize(
    ("zone", "early", "due"),
    [
        ("Pacific/Auckland", datetime(2026, 3, 2, 18, 59, tzinfo=UTC), datetime(2026, 3, 2, 19, 0, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 3, 3, 2, 14, tzinfo=UTC), datetime(2026, 3, 3, 2, 15, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 3, 12, 59, tzinfo=UTC), datetime(2026, 3, 3, 13, 0, tzinfo=UTC)),
    ],
)
def test_eight_is_by_the_clock_of_the_business(catcher, zone, early, due):
    with time_machine.travel(datetime(2026, 3, 2, 14, tzinfo=UTC)):
        shop, omar = people.a_merchant("shop", time_zone=zone), people.omar()
        people.pay(first_of(people.a_plan(shop)), omar)
        assert job() == 0
    assert (job(early), job(due), job(due + timedelta(minutes=1))) == (0, 1, 0)


def test_an_erased_customer_leaves_no_digest_with_their_name(shop, omar, catcher):
    people.pay(first_of(people.a_plan(shop, total=10_00, count=1)), omar)
    job(morning())
    assert [mail.data["customers"] for mail in mails.outbox() if mail.kind == "digest"] == [[omar]]
    with time_machine.travel(morning(200)):
        erasures.erase(omar, password=people.PASSWORD)
        assert [mail for mail in mails.outbox() if mail.kind == "digest"] == []


def test_a_digest_of_many_payments_is_bounded(app, shop, catcher):
    for number in range(14):
        customer = people.a_customer(f"buyer-{number}")
        people.pay(first_of(people.a_plan(shop, f"buyer-{number}@example.com", total=10_00, count=1)), customer)
    events.number_new()
    with time_machine.travel(morning()):
        digests.post_due()
        with queries(app) as statements:
            delivery.drain()
    (text,) = digest_texts(catcher)
    assert "14 payments received (SAR 140.00)" in text and "and 4 more of them" in text
    of_digest = [statement for statement in statements if "public_events" in statement]
    assert len(of_digest) <= 20


def test_the_settings_of_a_member_end_with_the_membership(shop):
    zaid = people.a_member("zaid", shop, "manager")
    digests.post_due()
    assert db.session.get(NoticeSettings, (zaid, shop)) is not None
    members.remove(zaid, actor=people.owner(shop), revoke_keys=False)
    db.session.rollback()
    assert db.session.get(NoticeSettings, (zaid, shop)) is None
