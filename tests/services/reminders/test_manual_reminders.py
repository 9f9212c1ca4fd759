"""Manual reminders: at most one mail a day, and the refusals."""

import pytest
from sqlalchemy import select

from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Event
from portal.services.reminders import manual_reminders, mutes
from tests.fixtures import people
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
