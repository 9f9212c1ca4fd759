"""Reminders that are not delivered: paid, cancelled, muted, turned off, or with a payment in flight."""

import pytest
from sqlalchemy import select, update

from portal.domain import clock
from portal.errors import NotFound
from portal.extensions import db
from portal.jobs import tasks
from portal.models import Event, Installment, Plan, User
from portal.services.payments import automatic, payment_methods
from portal.services.reminders import mutes, settings
from tests.fixtures import people
from tests.fixtures.reminders import (
    deliver,
    look,
    look_and_send,
    on,
    posted,
    rules,
)
from tests.services.reminders.conftest import DUE

pytestmark = pytest.mark.usefixtures("context")


class TestSuppressed:
    def pay(self, amal, omar, cake):
        people.pay(people.installments_of(cake)[0].id, omar)

    def cancel(self, amal, omar, cake):
        db.session.execute(update(Installment).values(credited=Installment.remaining, cancelled_at=clock.now()))
        db.session.execute(update(Plan).values(state="cancelled", closed_at=clock.now(), closed_by="cancel"))
        db.session.commit()

    def mute_plan(self, amal, omar, cake):
        mutes.mute_plan(cake, actor=people.owner(amal))

    def mute_customer(self, amal, omar, cake):
        mutes.mute_customer(omar, actor=people.owner(amal))

    def close_account(self, amal, omar, cake):
        db.session.execute(update(User).where(User.id == omar).values(deactivated_at=clock.now()))
        db.session.commit()

    def turn_early_reminders_off(self, amal, omar, cake):
        settings.choose_early(omar, enabled=False)

    HOW = ("pay", "cancel", "mute_plan", "mute_customer", "close_account", "turn_early_reminders_off")

    @pytest.mark.parametrize("how", HOW)
    def test_suppressed_before_the_scan(self, amal, omar, cake, how):
        with on("2026-03-07 09:00"):
            getattr(self, how)(amal, omar, cake)
            assert look_and_send() == []
        assert posted() == 0

    @pytest.mark.parametrize("how", HOW)
    def test_suppressed_between_scan_and_delivery(self, amal, omar, cake, how):
        with on("2026-03-07 09:00"):
            assert look() == 1
            getattr(self, how)(amal, omar, cake)
            assert deliver() == []
            assert look_and_send() == []
        assert rules() == [(-3, "dropped")]
        assert "reminder.sent" not in list(db.session.scalars(select(Event.kind)))

    def test_a_paid_installment_is_left_out_of_a_mail_about_several(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            people.a_plan(amal, total=60_00, count=1, first=DUE, description="Bread")
        with on("2026-03-10 09:00"):
            look()
            self.pay(amal, omar, cake)
            assert deliver() == ["SAR 60.00 to Amal's Bakery is due today"]
        assert rules() == [(0, "dropped"), (0, "sent")]

    def test_without_early_reminders_the_others_are_sent(self, omar, cake):
        settings.choose_early(omar, enabled=False)
        with on("2026-03-07 09:00") as now:
            assert look_and_send() == []
            now.shift(3 * 86400)
            assert len(look_and_send()) == 1

    def test_muted_reminders_are_not_caught_up(self, amal, omar, cake):
        with on("2026-03-10 09:00") as now:
            mutes.mute_plan(cake, actor=people.owner(amal))
            mutes.mute_customer(omar, actor=people.owner(amal))
            assert look_and_send() == []
            mutes.unmute_plan(cake, actor=people.owner(amal))
            mutes.unmute_customer(omar, actor=people.owner(amal))
            assert look_and_send() == []
            now.shift(86400)
            assert len(look_and_send()) == 1
        kinds = list(db.session.scalars(select(Event.kind).where(Event.plan_id == cake).order_by(Event.id)))
        assert kinds[1:5] == ["reminders.muted", "customer.muted", "reminders.unmuted", "customer.unmuted"]

    def test_a_payment_in_flight_delays_the_reminder_to_the_next_day(self, omar, cake):
        with on("2026-03-10 09:00") as now:
            look()
            people.pay(people.installments_of(cake)[0].id, omar, "card_lost_not_charged")
            assert deliver() == []
            now.shift(60)
            tasks.settle_unknown_payments()
            assert look_and_send() == []
            now.shift(86400)
            assert len(look_and_send()) == 1
        assert rules() == [(0, "superseded"), (1, "sent")]

    def test_automatic_payment_suppresses_the_reminder_on_the_due_day(self, omar, cake):
        with on("2026-03-07 09:00") as now:
            automatic.turn_on(cake, customer_id=omar, method_id=payment_methods.save(omar, "card_ok").method_id)
            assert len(look_and_send()) == 1
            now.shift(3 * 86400)
            assert look_and_send() == []

    def test_only_the_plans_merchant_may_mute(self, amal, omar, cake):
        badr = people.badr()
        for mute, target_id in (
            (mutes.mute_plan, cake),
            (mutes.unmute_plan, cake),
            (mutes.mute_customer, omar),
            (mutes.unmute_customer, omar),
        ):
            with pytest.raises(NotFound):
                mute(target_id, actor=people.owner(badr))
