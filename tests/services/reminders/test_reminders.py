"""Reminders: each rule of each installment once, the newest alone, one mail a day, and nothing that is not wanted."""

from datetime import date, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from portal.domain import clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.jobs import tasks
from portal.models import Email, Event, Installment, Plan, Reminder, User
from portal.services.accounts import accounts
from portal.services.mail import delivery
from portal.services.mail import reminders as reminder_mails
from portal.services.payments import automatic, payment_methods
from portal.services.reminders import mutes, reminders, settings
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

pytestmark = pytest.mark.usefixtures("context")

DUE = date(2026, 3, 10)


@pytest.fixture
def amal(context):
    with on("2026-02-01 12:00"):
        return people.amal()


@pytest.fixture
def omar(context):
    with on("2026-02-01 12:00"):
        return people.omar()


@pytest.fixture
def cake(amal, omar):
    """Omar owes Amal one payment of 100.00 SAR, due on 10 March."""
    with on("2026-02-01 12:00"):
        return people.a_plan(amal, count=1, first=DUE)


class TestWhen:
    def test_omar_hears_of_it_three_days_before_on_the_day_and_1_7_and_14_days_after_then_no_more(self, cake):
        heard = {}
        for day in (1, 6, 7, 8, 9, 10, 11, 12, 16, 17, 18, 23, 24, 25, 31):
            with on(f"2026-03-{day:02} 09:00"):
                if subjects := look_and_send():
                    heard[day] = subjects
        with on("2026-05-10 12:00"):
            assert look_and_send() == []
        assert heard == {
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
            ("Asia/Riyadh", "2028-02-29", 9, "09:00"),
            ("America/New_York", "2026-03-08", 2, "03:00"),  # there is no two o'clock when clocks go forward
            ("America/New_York", "2026-11-01", 1, "01:00"),  # it comes twice when they go back
            ("America/New_York", "2028-02-29", 0, "00:00"),
            ("Pacific/Auckland", "2026-04-05", 2, "02:00"),  # back
            ("Pacific/Auckland", "2026-09-27", 2, "03:00"),  # forward
            ("Pacific/Auckland", "2026-09-27", 9, "09:00"),
        ],
    )
    def test_around_midnight_and_when_clocks_change_nobody_is_early_and_nobody_twice(
        self, omar, zone, due, hour, opens
    ):
        with on("2026-02-01 12:00", zone):
            merchant = people.a_merchant("nadia", time_zone=zone)
            remind_on(merchant, -1, 0, 1, hour=hour)
            people.a_plan(merchant, count=1, first=date.fromisoformat(due))
        heard, expected = [], []
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
                    heard += [(day, name) for _ in look_and_send()]
        assert heard == expected

    @pytest.mark.parametrize("jump", [3600, -3600, 86400, -86400])
    def test_a_clock_that_jumps_reminds_nobody_twice(self, cake, jump):
        with on("2026-03-10 09:30") as now:
            assert len(look_and_send()) == 1
            now.shift(jump)
            again = look_and_send()
            assert again == ([] if jump < 86400 else ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"])
            now.shift(-jump)
            assert look_and_send() == []

    def test_after_a_long_silence_only_the_newest_is_sent(self, cake):
        with on("2026-03-19 10:00"):
            assert len(look_and_send()) == 1
            assert look_and_send() == []
        assert rules() == [(7, "sent")]

    def test_what_fell_in_the_night_is_sent_in_the_morning(self, cake):
        with on("2026-03-11 03:00") as now:
            assert look_and_send() == []
            now.shift(6 * 3600)
            assert len(look_and_send()) == 1
        assert rules() == [(1, "sent")]

    def test_days_before_the_plan_was_made_are_left_out(self, amal, omar):
        with on("2026-03-13 10:00") as now:
            people.a_plan(amal, count=3, first=date(2026, 1, 11))
            assert look_and_send() == []
            now.move_to(moment("2026-03-18 10:00"))
            assert len(look_and_send()) == 1  # a week after the third
        assert rules("sent") == [(7, "sent")]

    def test_a_plan_made_today_and_due_today_is_told_today(self, amal, omar):
        with on("2026-03-10 15:00"):
            people.a_plan(amal, count=1, first=DUE)
            assert look_and_send() == ["SAR 100.00 to Amal's Bakery is due today"]

    def test_days_that_amal_changes_count_from_today_on(self, amal, cake):
        with on("2026-03-15 10:00") as now:
            assert len(look_and_send()) == 1
            settings.update(amal, days=[2, 4, 8], sending_hour=9)
            assert look_and_send() == []
            now.shift(3 * 86400)
            assert len(look_and_send()) == 1
        assert rules("sent") == [(1, "sent"), (8, "sent")]

    def test_who_reminds_of_nothing_reminds_of_nothing(self, amal, cake):
        remind_on(amal)
        with on("2026-03-25 10:00"):
            assert look_and_send() == []

    def test_an_old_plan_keeps_its_calendar_when_amal_moves(self, amal, cake):
        with on("2026-03-08 12:00"):
            accounts.update_merchant(
                amal, business_name="Amal", time_zone="America/New_York", grace_days=0, home_currency="SAR"
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

    def test_scans_at_once_and_again_make_one_reminder_and_one_mail(self, app, amal):
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

    def test_a_scan_that_is_killed_between_batches_is_made_up_for_by_the_next(self, amal, monkeypatch):
        self.plans(amal)
        batch, seen = reminders._scan_batch, []

        def killed(*args):
            if len(seen) == 2:
                raise KeyboardInterrupt
            seen.append(1)
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

    def test_killed_before_the_mark_it_is_sent_again_as_the_same_mail_with_the_same_reminders(
        self, amal, omar, cake, monkeypatch
    ):
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
    def test_everything_due_is_in_one_mail_with_its_sum(self, amal, omar, cake):
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

    def test_a_long_list_is_cut_but_its_sum_is_not_and_more_plans_cost_no_more_queries(
        self, app, amal, omar, cake, monkeypatch
    ):
        monkeypatch.setattr(reminder_mails, "SHOWN", 2)
        sizes = {}
        with on("2026-03-10 09:00") as now:
            for count in (1, 3):
                look()
                mail = db.session.scalars(select(Email.id).where(Email.state == "waiting")).one()
                with queries(app) as sent:
                    facts = reminder_mails.facts(mail)
                sizes[count] = len(sent)
                assert (len(facts["items"]), facts["more"]) == (min(count, 2), max(0, count - 2))
                assert facts["total"].replace("\u00a0", " ") == f"SAR {100 * count}.00"
                now.shift(86400)
                db.session.execute(update(Email).values(state="dropped", ended_at=clock.now(), last_error="x"))
                db.session.commit()
                for _ in range(2):
                    people.a_plan(amal, count=1, first=DUE)
        assert sizes[3] <= sizes[1]

    def test_one_that_comes_later_waits_for_the_next_day(self, amal, omar, cake):
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

    def test_if_a_newer_rule_has_come_by_then_only_that_is_told(self, amal, omar, cake):
        with on("2026-03-10 09:00") as now:
            look_and_send()
            people.a_plan(amal, count=1, first=DUE, description="Bread")
            look()
            now.shift(86400)
            assert len(look_and_send()) == 1
        assert rules() == [(0, "sent"), (1, "sent"), (0, "superseded"), (1, "sent")]

    def test_a_mail_that_nobody_sent_that_day_is_left_to_todays(self, cake):
        with on("2026-03-10 09:00") as now:
            look()
            now.shift(86400)
            assert look_and_send() == ["SAR 100.00 to Amal's Bakery was due on 10 March 2026"]
        db.session.rollback()
        assert sorted(db.session.scalars(select(Email.state).where(Email.kind == "reminder"))) == ["dropped", "kept"]

    def test_what_a_dead_mail_was_to_say_is_not_dug_out_when_the_mail_is_forgotten(self, cake):
        with on("2026-03-24 09:00") as now:
            look()
            mail = db.session.scalars(select(Email).where(Email.kind == "reminder")).one()
            assert reminder_mails.facts(mail.id) is not None
            mail.state, mail.ended_at, mail.last_error = "dead", clock.now(), "no such mailbox"
            db.session.commit()
            now.shift(91 * 86400)
            assert delivery.purge() == 1
            assert look_and_send() == []
        assert rules() == [(14, "dropped")]

    def test_each_merchant_writes_for_themselves(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            people.a_plan(people.badr(), total=5_000, count=1, first=DUE)
        with on("2026-03-10 09:00"):
            assert sorted(look_and_send()) == [
                "KWD 5.000 to Badr Electronics is due today",
                "SAR 100.00 to Amal's Bakery is due today",
            ]


class TestNotWanted:
    def pay(self, amal, omar, cake):
        people.pay(people.installments_of(cake)[0].id, omar)

    def cancel(self, amal, omar, cake):
        db.session.execute(update(Installment).values(credited=Installment.remaining, cancelled_at=clock.now()))
        db.session.execute(update(Plan).values(state="cancelled", closed_at=clock.now()))
        db.session.commit()

    def mute_plan(self, amal, omar, cake):
        mutes.mute_plan(cake, merchant_id=amal)

    def mute_customer(self, amal, omar, cake):
        mutes.mute_customer(omar, merchant_id=amal)

    def close_account(self, amal, omar, cake):
        db.session.execute(update(User).where(User.id == omar).values(deactivated_at=clock.now()))
        db.session.commit()

    def turn_early_ones_off(self, amal, omar, cake):
        settings.choose_early(omar, wanted=False)

    HOW = ("pay", "cancel", "mute_plan", "mute_customer", "close_account", "turn_early_ones_off")

    @pytest.mark.parametrize("how", HOW)
    def test_before_it_is_found(self, amal, omar, cake, how):
        with on("2026-03-07 09:00"):
            getattr(self, how)(amal, omar, cake)
            assert look_and_send() == []
        assert posted() == 0

    @pytest.mark.parametrize("how", HOW)
    def test_between_finding_and_sending(self, amal, omar, cake, how):
        with on("2026-03-07 09:00"):
            assert look() == 1
            getattr(self, how)(amal, omar, cake)
            assert deliver() == []
            assert look_and_send() == []
        assert rules() == [(-3, "dropped")]
        assert "reminder.sent" not in list(db.session.scalars(select(Event.kind)))

    def test_what_is_paid_is_left_out_of_a_mail_about_more(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            people.a_plan(amal, total=60_00, count=1, first=DUE, description="Bread")
        with on("2026-03-10 09:00"):
            look()
            self.pay(amal, omar, cake)
            assert deliver() == ["SAR 60.00 to Amal's Bakery is due today"]
        assert rules() == [(0, "dropped"), (0, "sent")]

    def test_who_wants_no_early_ones_gets_the_others(self, omar, cake):
        settings.choose_early(omar, wanted=False)
        with on("2026-03-07 09:00") as now:
            assert look_and_send() == []
            now.shift(3 * 86400)
            assert len(look_and_send()) == 1

    def test_what_was_muted_is_not_made_up_for(self, amal, omar, cake):
        with on("2026-03-10 09:00") as now:
            mutes.mute_plan(cake, merchant_id=amal)
            mutes.mute_customer(omar, merchant_id=amal)
            assert look_and_send() == []
            mutes.unmute_plan(cake, merchant_id=amal)
            mutes.unmute_customer(omar, merchant_id=amal)
            assert look_and_send() == []
            now.shift(86400)
            assert len(look_and_send()) == 1
        kinds = list(db.session.scalars(select(Event.kind).where(Event.plan_id == cake).order_by(Event.id)))
        assert kinds[1:5] == ["reminders.muted", "customer.muted", "reminders.unmuted", "customer.unmuted"]

    def test_while_a_payment_is_with_the_bank_nothing_is_said_and_tomorrow_it_is(self, omar, cake):
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

    def test_what_is_collected_automatically_needs_no_reminder_on_the_day(self, omar, cake):
        with on("2026-03-07 09:00") as now:
            automatic.turn_on(cake, customer_id=omar, method_id=payment_methods.save(omar, "card_ok"))
            assert len(look_and_send()) == 1
            now.shift(3 * 86400)
            assert look_and_send() == []

    def test_muting_is_for_the_merchant_whose_plan_it_is(self, amal, omar, cake):
        badr = people.badr()
        for verb, what in (
            (mutes.mute_plan, cake),
            (mutes.unmute_plan, cake),
            (mutes.mute_customer, omar),
            (mutes.unmute_customer, omar),
        ):
            with pytest.raises(NotFound):
                verb(what, merchant_id=badr)


class TestSendNow:
    def test_amal_reminds_omar_once_a_day_and_the_timeline_says_that_she_did(self, amal, omar, cake):
        with on("2026-03-02 18:00") as now:
            reminder_mails.send_now(cake, merchant_id=amal)
            assert deliver() == ["SAR 100.00 to Amal's Bakery is due on 10 March 2026"]
            assert refused(cake, amal) == "already_sent_today"
            now.shift(6 * 3600)  # midnight in Riyadh
            reminder_mails.send_now(cake, merchant_id=amal)
            assert len(deliver()) == 1
        event = db.session.scalars(select(Event).where(Event.kind == "reminder.sent").limit(1)).one()
        assert (event.actor_id, event.data) == (amal, {"numbers": [1]})

    def test_the_days_mail_counts_whoever_asked_for_it(self, amal, cake):
        with on("2026-03-10 09:00"):
            look()
            assert refused(cake, amal) == "already_sent_today"
        with on("2026-03-11 08:00"):
            reminder_mails.send_now(cake, merchant_id=amal)
        with on("2026-03-11 09:00") as now:
            assert len(look_and_send()) == 1
            now.shift(3600)
            assert look_and_send() == []

    def test_a_mail_that_was_dropped_is_none(self, amal, omar, cake):
        with on("2026-03-10 09:00"):
            look()
            people.pay(people.installments_of(cake)[0].id, omar)
            assert deliver() == []
            bread = people.a_plan(amal, total=60_00, count=1, first=20, description="Bread")
            reminder_mails.send_now(bread, merchant_id=amal)
            assert deliver() == ["SAR 60.00 to Amal's Bakery is due on 30 March 2026"]
            assert refused(bread, amal) == "already_sent_today"

    def test_it_is_refused_where_there_is_nothing_to_say_or_it_may_not_be_said(self, amal, omar, cake):
        with on("2026-03-02 18:00"):
            with pytest.raises(NotFound):
                reminder_mails.send_now(cake, merchant_id=people.badr())
            mutes.mute_plan(cake, merchant_id=amal)
            assert refused(cake, amal) == "muted"
            mutes.unmute_plan(cake, merchant_id=amal)
            mutes.mute_customer(omar, merchant_id=amal)
            assert refused(cake, amal) == "muted"
            mutes.unmute_customer(omar, merchant_id=amal)
            people.pay(people.installments_of(cake)[0].id, omar, "card_lost_charged")
            assert refused(cake, amal) == "payment_in_flight"
            another = people.a_plan(amal, count=1)
            people.pay(people.installments_of(another)[0].id, omar)
            assert refused(another, amal) == "nothing_due"
        assert posted() == 0


def test_a_link_turns_off_early_reminders_of_its_customer_only(omar):
    token = reminder_mails.off_token(omar)
    assert reminder_mails.customer_of(token).id == omar
    for forged in ("", "x", token + "x", token.partition(".")[0], "\x00"):
        assert reminder_mails.customer_of(forged) is None


def refused(plan_id, merchant_id):
    with pytest.raises(Refused) as error:
        reminder_mails.send_now(plan_id, merchant_id=merchant_id)
    return error.value.code
