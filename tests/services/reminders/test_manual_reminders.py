"""Manual reminders: at most one mail a day, and the refusals."""

import pytest
from sqlalchemy import select

from portal.domain import clock, permissions
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Event, Merchant
from portal.reports.merchants import chasing
from portal.reports.merchants.chasing import Chase
from portal.services import emails
from portal.services.reminders import manual_reminders, mutes
from portal.services.reminders.manual_reminders import Reminded
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.fixtures.reminders import (
    deliver,
    look,
    look_and_send,
    on,
    posted,
)

pytestmark = pytest.mark.usefixtures("context")


class TestSendNow:
    def test_a_manual_reminder_is_sent_once_a_day_and_is_an_event_of_the_merchant(self, amal, omar, cake):
        with on("2026-03-02 18:00") as now:
            manual_reminders.send_now(cake, actor=people.owner(amal))
            assert deliver() == ["SAR 100.00 to Amal's Bakery is due on 10 March 2026"]
            assert refused(cake, amal) == "already_sent_today"
            now.shift(6 * 3600)  # midnight in Riyadh
            manual_reminders.send_now(cake, actor=people.owner(amal))
            assert len(deliver()) == 1
        event = db.session.scalars(select(Event).where(Event.kind == "reminder.sent").limit(1)).one()
        assert (event.actor_id, event.data) == (amal, {"numbers": [1]})

    def test_manual_and_scheduled_reminders_share_the_days_mail(self, amal, cake):
        with on("2026-03-10 09:00"):
            look()
            assert refused(cake, amal) == "already_sent_today"
        with on("2026-03-11 08:00"):
            manual_reminders.send_now(cake, actor=people.owner(amal))
        with on("2026-03-11 09:00") as now:
            assert len(look_and_send()) == 1
            now.shift(3600)
            assert look_and_send() == []

    def test_a_dropped_mail_does_not_count_as_the_days_mail(self, amal, omar, cake):
        with on("2026-03-10 09:00"):
            look()
            people.pay(people.installments_of(cake)[0].id, omar)
            assert deliver() == []
            bread = people.a_plan(amal, total=60_00, count=1, first=20, description="Bread")
            manual_reminders.send_now(bread, actor=people.owner(amal))
            assert deliver() == ["SAR 60.00 to Amal's Bakery is due on 30 March 2026"]
            assert refused(bread, amal) == "already_sent_today"

    def test_a_manual_reminder_is_refused_when_muted_in_flight_or_nothing_is_due(self, amal, omar, cake):
        with on("2026-03-02 18:00"):
            with pytest.raises(NotFound):
                manual_reminders.send_now(cake, actor=people.owner(people.badr()))
            mutes.mute_plan(cake, actor=people.owner(amal))
            assert refused(cake, amal) == "muted"
            mutes.unmute_plan(cake, actor=people.owner(amal))
            mutes.mute_customer(omar, actor=people.owner(amal))
            assert refused(cake, amal) == "muted"
            mutes.unmute_customer(omar, actor=people.owner(amal))
            people.pay(people.installments_of(cake)[0].id, omar, "card_lost_charged")
            assert refused(cake, amal) == "payment_in_flight"
            another = people.a_plan(amal, count=1)
            people.pay(people.installments_of(another)[0].id, omar)
            assert refused(another, amal) == "nothing_due"
        assert posted() == 0


def refused(plan_id, merchant_id):
    with pytest.raises(Refused) as error:
        manual_reminders.send_now(plan_id, actor=people.owner(merchant_id))
    return error.value.code


class TestSendTo:
    def test_a_selection_is_queued_once_a_day_and_says_what_became_of_each(self, amal, omar, cake):
        sara, nobody = people.sara(), people.a_customer("nobody")
        people.a_plan(amal, "sara@example.com", total=60_00, count=1, first=20, description="Bread")
        people.a_plan(people.badr(), "nobody@example.com")
        with on("2026-03-12 18:00"):
            first = manual_reminders.send_to([omar, sara, nobody], actor=people.owner(amal))
            again = manual_reminders.send_to([omar, sara, omar], actor=people.owner(amal))
            assert (first, again) == (Reminded(2, 0, 1), Reminded(0, 2, 0))
            assert len(deliver()) == 2
        events = db.session.scalars(select(Event).where(Event.kind == "reminder.sent")).all()
        assert [event.actor_id for event in events] == [amal, amal]

    def test_one_mail_lists_all_that_is_due_of_every_plan(self, amal, omar, cake):
        with on("2026-03-02 18:00"):
            people.a_plan(amal, total=60_00, count=1, first=5, description="Bread")
        with on("2026-03-12 18:00"):
            manual_reminders.send_to([omar], actor=people.owner(amal))
            (subject,) = deliver()
        assert "SAR 160.00" in subject

    def test_muted_reported_and_paying_customers_and_the_member_are_left_out(self, amal, omar, cake):
        with on("2026-03-12 18:00"):
            mutes.mute_customer(omar, actor=people.owner(amal))
            assert manual_reminders.send_to([omar], actor=people.owner(amal)) == Reminded(0, 0, 1)
            mutes.unmute_customer(omar, actor=people.owner(amal))
            people.pay(people.installments_of(cake)[0].id, omar, "card_lost_charged")
            assert manual_reminders.send_to([omar], actor=people.owner(amal)) == Reminded(0, 0, 1)
            people.a_member("omar", amal, "manager")
            member = permissions.member(omar, amal, "manager")
            assert manual_reminders.send_to([omar], actor=member) == Reminded(0, 0, 1)
            too_many = [*range(10**6, 10**6 + manual_reminders.LIMIT), omar]
            assert manual_reminders.send_to(too_many, actor=people.owner(amal)).left_out == len(too_many)
        assert posted() == 0

    def test_a_full_mailbox_is_left_out(self, amal, omar, cake):
        with on("2026-03-12 18:00") as now:
            for _ in range(3):
                now.shift(60)
                emails_of(amal, omar)
            assert manual_reminders.send_to([omar], actor=people.owner(amal)) == Reminded(0, 0, 1)

    def test_a_dropped_mail_is_queued_again(self, amal, omar, cake):
        with on("2026-03-10 09:00"):
            look()
            people.pay(people.installments_of(cake)[0].id, omar)
            assert deliver() == []
            people.a_plan(amal, total=60_00, count=1, first=20, description="Bread")
            assert manual_reminders.send_to([omar], actor=people.owner(amal)) == Reminded(1, 0, 0)
            assert len(deliver()) == 1

    def test_the_statements_do_not_grow_with_the_selection(self, app, amal):
        counts = []
        for size in (2, 20):
            ids = [people.a_customer(f"customer-{size}-{number}") for number in range(size)]
            for number in range(size):
                people.a_plan(amal, f"customer-{size}-{number}@example.com", first=-5)
            with queries(app) as sent:
                assert manual_reminders.send_to(ids, actor=people.owner(amal)).queued == size
            counts.append(len(sent))
        assert counts[0] == counts[1]

    def test_a_chase_shows_days_late_and_the_last_reminder(self, amal, omar, cake):
        merchant = db.session.get_one(Merchant, amal)
        with on("2026-03-12 18:00") as now:
            assert chasing.chases(merchant, [omar])[omar] == Chase(days_late=2)
            manual_reminders.send_to([omar], actor=people.owner(amal))
            assert chasing.todays_reminder(merchant, omar) == clock.now()
            deliver()
            sent_at = clock.now()
            now.shift(86400)
            db.session.rollback()
            assert chasing.chases(merchant, [omar])[omar] == Chase(days_late=3, reminded_at=sent_at)


def emails_of(merchant_id, user_id):
    """A counted mail of the business to the person."""

    @unit_of_work
    def post():
        key = f"plan_yours:{user_id}:{clock.now():%H%M%S}"
        emails.post("plan_yours", to_user_id=user_id, merchant_id=merchant_id, dedupe_key=key)

    post()
