"""Reminders: each rule of each installment once, only the newest, and one mail a day."""

from datetime import date, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, Event, Reminder
from portal.services.accounts import accounts
from portal.services.accounts.merchant_settings import Settings
from portal.services.adjustments import voids
from portal.services.mail import delivery
from portal.services.mail import reminders as reminder_mails
from portal.services.payments import manual_payments
from portal.services.reminders import reminders, settings
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.fixtures.query_log import queries
from tests.fixtures.reminders import (
    deliver,
    look,
    look_and_send,
    mails,
    moment,
    on,
    posted,
    remind_on,
    rules,
)
from tests.services.reminders.conftest import DUE

pytestmark = pytest.mark.usefixtures("context")


class TestWhen:
    def test_reminders_three_days_before_on_the_day_and_1_7_and_14_days_after(self, cake):
        subjects_by_day = {}
        for day in (1, 6, 7, 8, 9, 10, 11, 12, 16, 17, 18, 23, 24, 25, 31):
            with on(f"2026-03-{day:02} 09:00"):
                if subjects := look_and_send():
                    subjects_by_day[day] = subjects
        with on("2026-05-10 12:00"):
            assert look_and_send() == []
        assert subjects_by_day == {
            7: ["SAR 100.00 to Amal's Bakery is due on 10 March 2026"],
            10: ["SAR 100.00 to Amal's Bakery is due today"],
            11: ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"],
            17: ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"],
            24: ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"],
        }
        assert rules() == [(rule, "sent") for rule in (-3, 0, 1, 7, 14)]
        kinds = [event.kind for event in db.session.scalars(select(Event).where(Event.plan_id == cake))]
        assert kinds.count("reminder.sent") == 5

    @pytest.mark.parametrize(
        ("zone", "due", "hour", "opens"),
        [
            ("Asia/Riyadh", "2026-03-10", 0, "00:00"),
            pytest.param("Asia/Riyadh", "2028-02-29", 9, "09:00", marks=pytest.mark.long),
            ("America/New_York", "2026-03-08", 2, "03:00"),  # there is no two o'clock when clocks go forward
            pytest.param(
                "America/New_York", "2026-11-01", 1, "01:00", marks=pytest.mark.long
            ),  # it comes twice when they go back
            pytest.param("America/New_York", "2028-02-29", 0, "00:00", marks=pytest.mark.long),
            pytest.param("Pacific/Auckland", "2026-04-05", 2, "02:00", marks=pytest.mark.long),  # back
            pytest.param("Pacific/Auckland", "2026-09-27", 2, "03:00", marks=pytest.mark.long),  # forward
            pytest.param("Pacific/Auckland", "2026-09-27", 9, "09:00", marks=pytest.mark.long),
        ],
    )
    def test_one_reminder_a_day_around_midnight_and_clock_changes(self, omar, zone, due, hour, opens):
        with on("2026-02-01 12:00", zone):
            merchant = people.a_merchant("nadia", time_zone=zone)
            remind_on(merchant, -1, 0, 1, hour=hour)
            people.a_plan(merchant, count=1, first=date.fromisoformat(due))
        sent, expected = [], []
        for days in (-1, 0, 1):
            day = date.fromisoformat(due) + timedelta(days)
            begins = moment(f"{day} {opens if days == 0 else f'{hour:02}:00'}", zone)
            expected.append((day, "on the hour"))
            for name, instant in {
                "at midnight": moment(f"{day} 00:00", zone),
                "a second before": begins - timedelta(seconds=1),
                "on the hour": begins,
                "set back an hour": begins - timedelta(hours=1),
                "again": begins,
                "an hour later": begins + timedelta(hours=1),
                "at the end": moment(f"{day} 23:59:59", zone),
            }.items():
                if name == "at midnight" and instant == begins:
                    continue
                with time_machine.travel(instant, tick=False):
                    sent += [(day, name) for _ in look_and_send()]
        assert sent == expected

    @pytest.mark.parametrize("jump", [3600, -3600, 86400, -86400])
    def test_a_clock_that_jumps_sends_no_reminder_twice(self, cake, jump):
        with on("2026-03-10 09:30") as now:
            assert len(look_and_send()) == 1
            now.shift(jump)
            again = look_and_send()
            assert again == ([] if jump < 86400 else ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"])
            now.shift(-jump)
            assert look_and_send() == []

    def test_only_the_newest_missed_reminder_is_sent(self, cake):
        with on("2026-03-19 10:00"):
            assert len(look_and_send()) == 1
            assert look_and_send() == []
        assert rules() == [(7, "sent")]

    @pytest.mark.parametrize("how", ["bounce", pytest.param("void", marks=pytest.mark.long)])
    @pytest.mark.parametrize(
        ("reopened", "wanted"),
        [
            pytest.param("2026-03-02 12:00", [7, 10, 11, 17, 24], marks=pytest.mark.long),
            pytest.param("2026-03-11 08:59", [11, 17, 24], marks=pytest.mark.long),
            ("2026-03-11 09:00", [17, 24]),
            pytest.param("2026-03-20 12:00", [24], marks=pytest.mark.long),
            pytest.param("2026-03-25 12:00", [], marks=pytest.mark.long),
        ],
    )
    def test_a_reopened_installment_begins_again_with_the_next_rule(self, amal, omar, cake, how, reopened, wanted):
        owner = people.owner(amal)
        with on("2026-03-01 12:00") as now:
            if how == "bounce":
                payment_id = people.pay(people.installments_of(cake)[0].id, omar).id
            else:
                day = people.today_of(amal)
                payment_id = manual_payments.record(
                    cake, actor=owner, amount=100_00, method="cash", received_on=day
                ).payment_id
            now.move_to(moment(reopened))
            if how == "bounce":
                people.bounce(payment_id)
            else:
                voids.void(payment_id, actor=owner, reason="Written twice")
            deliver()
            days = []
            for day in range(2, 32):
                for hour in ("08:58", "10:00"):
                    if moment(f"2026-03-{day:02} {hour}") >= moment(reopened):
                        now.move_to(moment(f"2026-03-{day:02} {hour}"))
                        days += [day for _ in look_and_send()]
        assert days == wanted

    def test_a_reminder_waits_for_the_sending_hour(self, cake):
        with on("2026-03-11 03:00") as now:
            assert look_and_send() == []
            now.shift(6 * 3600)
            assert len(look_and_send()) == 1
        assert rules() == [(1, "sent")]

    def test_days_before_the_plan_was_opened_are_left_out(self, amal, omar):
        with on("2026-03-13 10:00") as now:
            people.a_plan(amal, count=3, first=date(2026, 1, 11))
            assert look_and_send() == []
            now.move_to(moment("2026-03-18 10:00"))
            assert len(look_and_send()) == 1  # a week after the third
        assert rules("sent") == [(7, "sent")]

    def test_a_plan_opened_on_its_due_day_gets_a_reminder_that_day(self, amal, omar):
        with on("2026-03-10 15:00"):
            people.a_plan(amal, count=1, first=DUE)
            assert look_and_send() == ["SAR 100.00 to Amal's Bakery is due today"]

    def test_changed_days_count_from_today_on(self, amal, cake):
        with on("2026-03-15 10:00") as now:
            assert len(look_and_send()) == 1
            settings.update(people.owner(amal), days=[2, 4, 8], sending_hour=9)
            assert look_and_send() == []
            now.shift(3 * 86400)
            assert len(look_and_send()) == 1
        assert rules("sent") == [(1, "sent"), (8, "sent")]

    def test_a_merchant_without_days_sends_no_reminders(self, amal, cake):
        remind_on(amal)
        with on("2026-03-25 10:00"):
            assert look_and_send() == []

    def test_a_plan_keeps_its_time_zone_when_its_merchant_moves(self, amal, cake):
        with on("2026-03-08 12:00"):
            accounts.update_merchant(
                people.owner(amal),
                Settings(business_name="Amal", time_zone="America/New_York", grace_days=0, home_currency="SAR"),
            )
        with on("2026-03-10 08:59"):
            look()
            assert rules() == []
        with on("2026-03-10 09:00"):
            assert len(look_and_send()) == 1


class TestOnce:
    def plans(self, amal, many=6):
        with on("2026-02-01 12:00"):
            for number in range(many):
                people.a_customer(f"person{number}")
                people.a_plan(amal, f"person{number}@example.com", count=1, first=DUE)

    def test_scans_at_once_make_one_reminder_and_one_mail(self, app, amal):
        self.plans(amal)
        with on("2026-03-10 09:00"):
            results = at_once(app, [reminders.send_due_soon_reminders] * 3 + [reminders.send_overdue_reminders])
            assert sum(results) == 6
            assert look() == 0
        assert rules() == [(0, "waiting")] * 6
        assert posted() == 6

    def test_drains_at_once_send_each_mail_once(self, app, amal):
        self.plans(amal)
        with on("2026-03-10 09:00"):
            look()
            at_once(app, [delivery.drain] * 3)
        assert len(mails()) == 6
        assert rules() == [(0, "sent")] * 6
        assert db.session.scalar(select(func.count(Event.id)).where(Event.kind == "reminder.sent")) == 6

    def test_the_next_scan_continues_one_that_was_killed_between_batches(self, amal, monkeypatch):
        self.plans(amal)
        batch, batches = reminders._scan_batch, []

        def killed(*args):
            if len(batches) == 2:
                raise KeyboardInterrupt
            batches.append(1)
            return batch(*args)

        monkeypatch.setattr(reminders, "BATCH", 2)
        monkeypatch.setattr(reminders, "_scan_batch", killed)
        with on("2026-03-10 09:00"):
            with pytest.raises(KeyboardInterrupt):
                look()
            assert len(rules()) == 4
            monkeypatch.setattr(reminders, "_scan_batch", batch)
            assert look() == 2
            assert len(deliver()) == 6
        assert rules() == [(0, "sent")] * 6

    def test_killed_before_the_mark_the_same_mail_is_sent_again(self, amal, omar, cake, monkeypatch):
        finish = delivery._finish

        def killed(*args):
            raise KeyboardInterrupt

        with on("2026-03-10 09:00") as now:
            look()
            monkeypatch.setattr(delivery, "_finish", killed)
            with pytest.raises(KeyboardInterrupt):
                delivery.drain()
            monkeypatch.setattr(delivery, "_finish", finish)
            people.a_plan(amal, count=1, first=DUE, description="Another cake")
            look()
            assert deliver() == []  # the claim still holds
            now.shift(delivery.LEASE)
            assert len(deliver()) == 1
        db.session.rollback()
        states = {row.plan_id: row.state for row in db.session.scalars(select(Reminder))}
        assert states.pop(cake) == "sent"
        assert list(states.values()) == ["waiting"]  # the later one is for tomorrow's mail
        (mail,) = mails()
        assert mail.message_id.startswith(f"<reminder.{omar}") or "reminder" in mail.message_id


class TestOneMailADay:
    def test_one_mail_lists_everything_due_with_its_sum(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            people.a_plan(amal, total=60_00, count=3, first=date(2026, 3, 9), interval="weekly", description="Bread")
        with on("2026-03-10 09:00"):
            assert look_and_send() == ["2 payments to Amal's Bakery: SAR 120.00"]
        (mail,) = mails()
        for text in (
            "SAR 100.00, due today",
            "A cake, payment 1 of 1",
            "SAR 20.00, was due on 9 March 2026, 1 day ago",
        ):
            assert text in mail.body
        assert "/home" in mail.body
        assert "/reminders/off/" in mail.body

    def test_a_long_list_is_cut_and_its_sum_and_queries_are_not(self, app, amal, omar, cake, monkeypatch):
        monkeypatch.setattr(reminder_mails, "SHOWN", 2)
        sizes = {}
        with on("2026-03-10 09:00") as now:
            for count in (1, 3):
                look()
                mail = db.session.scalars(select(Email.id).where(Email.state == "waiting")).one()
                with queries(app) as sent:
                    facts = reminder_mails.facts_of_all([mail])[mail]
                sizes[count] = len(sent)
                assert (len(facts["items"]), facts["more"]) == (min(count, 2), max(0, count - 2))
                assert facts["total"].replace("\u00a0", " ") == f"SAR {100 * count}.00"
                now.shift(86400)
                db.session.execute(update(Email).values(state="dropped", ended_at=clock.now(), last_error="not_wanted"))
                db.session.commit()
                for _ in range(2):
                    people.a_plan(amal, count=1, first=DUE)
        assert sizes[3] <= sizes[1]

    def test_a_later_reminder_waits_for_the_next_day(self, amal, omar, cake):
        remind_on(amal, 0)
        with on("2026-03-10 09:00") as now:
            assert len(look_and_send()) == 1
            second = people.a_plan(amal, total=50_00, count=1, first=DUE, description="Bread")
            now.shift(3600)
            assert look_and_send() == []
            now.shift(86400 - 2 * 3600)  # 08:00
            assert look_and_send() == []
            now.shift(3600)
            assert look_and_send() == ["2 payments to Amal's Bakery: SAR 150.00"]
            assert look_and_send() == []
        assert rules() == [(0, "sent"), (0, "sent")]
        kinds = [event.kind for event in db.session.scalars(select(Event).where(Event.plan_id == second))]
        assert kinds.count("reminder.sent") == 1

    def test_a_waiting_reminder_is_superseded_by_a_newer_rule(self, amal, omar, cake):
        with on("2026-03-10 09:00") as now:
            look_and_send()
            people.a_plan(amal, count=1, first=DUE, description="Bread")
            look()
            now.shift(86400)
            assert len(look_and_send()) == 1
        assert rules() == [(0, "sent"), (1, "sent"), (0, "superseded"), (1, "sent")]

    def test_a_mail_that_missed_its_day_is_replaced_by_todays(self, cake):
        with on("2026-03-10 09:00") as now:
            look()
            now.shift(86400)
            assert look_and_send() == ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"]
        db.session.rollback()
        assert sorted(db.session.scalars(select(Email.state).where(Email.kind == "reminder"))) == ["dropped", "kept"]

    def test_reminders_of_a_dead_mail_are_dropped_when_the_mail_is_deleted(self, cake):
        with on("2026-03-24 09:00") as now:
            look()
            mail = db.session.scalars(select(Email).where(Email.kind == "reminder")).one()
            assert reminder_mails.facts_of_all([mail.id])[mail.id] is not None
            mail.state, mail.ended_at, mail.last_error = "dead", clock.now(), "killed"
            db.session.commit()
            now.shift(91 * 86400)
            assert delivery.purge() == 1
            assert look_and_send() == []
        assert rules() == [(14, "dropped")]

    def test_each_merchant_sends_an_own_mail(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            people.a_plan(people.badr(), total=5_000, count=1, first=DUE)
        with on("2026-03-10 09:00"):
            assert sorted(look_and_send()) == [
                "KWD 5.000 to Badr Electronics is due today",
                "SAR 100.00 to Amal's Bakery is due today",
            ]
