"""The ageing report."""

from datetime import date

import time_machine

from portal.extensions import db
from portal.models import Merchant
from portal.reports.merchants import dashboard
from portal.reports.merchants.ageing import Ageing, Report, ageing
from tests.fixtures import people


def report(merchant_id: int) -> Report:
    db.session.rollback()
    return ageing(db.session.get_one(Merchant, merchant_id))


def test_nothing_is_owed_to_amal_yet(amal: int) -> None:
    assert report(amal) == Report(Ageing("SAR"), [])


@time_machine.travel("2026-11-23T09:00:00Z", tick=False)
def test_each_day_falls_into_its_bucket(amal: int) -> None:
    today = date(2026, 11, 23)
    people.omar()
    for days, total in (
        (-5, 1),
        (0, 10),
        (1, 100),
        (30, 1000),
        (31, 10**4),
        (60, 10**5),
        (61, 10**6),
        (90, 10**7),
        (91, 10**8),
    ):
        people.a_plan(amal, total=total, count=1, first=-days)
    assert people.today_of(amal) == today
    assert report(amal).home == Ageing("SAR", 111_111_111, 11, 1_100, 110_000, 11_000_000, 100_000_000)


def test_days_begin_at_the_merchants_midnight(amal: int) -> None:
    with time_machine.travel("2026-11-23T20:59:00Z", tick=False) as now:
        people.a_plan(amal, total=500, count=1, first=date(2026, 11, 23))
        assert report(amal).home.not_due == 500
        now.shift(60)
        assert report(amal).home.days_1_30 == 500


def test_each_plan_keeps_the_calendar_it_was_made_in(amal: int) -> None:
    """At 21:30 UTC the due date has passed in Riyadh, and not in New York, the shop's new time zone."""
    with time_machine.travel("2026-11-23T21:30:00Z", tick=False):
        people.a_plan(amal, total=500, count=1, first=date(2026, 11, 23))
        db.session.rollback()
        with db.engine.begin() as connection:
            connection.execute(db.text("UPDATE merchants SET time_zone = 'America/New_York'"))
        people.a_plan(amal, total=70, count=1, first=date(2026, 11, 23))
        assert report(amal).home == Ageing("SAR", 570, 70, 500)


def test_the_buckets_add_up_to_what_is_outstanding(amal: int) -> None:
    omar = people.omar()
    for first in (-200, -75, -45, -10, 3):
        plan_id = people.a_plan(amal, total=1000, count=7, first=first)
        people.pay(people.installments_of(plan_id)[0].id, omar)
    people.a_plan(people.badr(), total=999, count=1)
    home = report(amal).home
    parts = home.not_due + home.days_1_30 + home.days_31_60 + home.days_61_90 + home.days_over_90
    assert parts == home.outstanding == dashboard.figures(db.session.get_one(Merchant, amal)).home.outstanding
