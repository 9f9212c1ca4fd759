"""A schedule: the sum of its amounts, its due dates, and the instants at which its installments are late."""

import calendar
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portal.domain import schedule
from portal.domain.money import CURRENCIES, MAX_MINOR
from portal.domain.schedule import FIRST_DATE, INTERVALS, LAST_DATE, MAX_GRACE_DAYS, MAX_INSTALLMENTS

counts = st.integers(1, MAX_INSTALLMENTS)
firsts = st.dates(FIRST_DATE, date(2190, 1, 1))
intervals = st.sampled_from(INTERVALS)
zones = st.sampled_from(sorted(zoneinfo.available_timezones()))


@given(st.data(), counts, intervals, firsts, st.sampled_from(sorted(CURRENCIES)))
def test_the_sum_is_exact_for_every_total_count_and_currency(data, count, interval, first, currency):
    unit = 10 ** CURRENCIES[currency]
    total = data.draw(
        st.one_of(
            st.integers(count, count + 100), st.integers(count, MAX_MINOR), st.integers(1, 10**6).map(unit.__mul__)
        )
    )
    assume(total >= count)
    rows = schedule.build(total, count, interval, first)
    assert sum(row.amount for row in rows) == total
    assert all(row.amount > 0 for row in rows)
    assert {rows[0].amount - row.amount for row in rows} <= {0, 1}
    assert [row.amount for row in rows] == sorted((row.amount for row in rows), reverse=True)
    assert [row.number for row in rows] == list(range(1, count + 1))
    assert rows[0].due_date == first
    assert [row.due_date for row in rows] == sorted({row.due_date for row in rows})


@given(counts, firsts)
def test_monthly_dates_are_counted_from_the_first_date(count, first):
    for step, due in enumerate(schedule.due_dates(count, "monthly", first)):
        assert (due.year * 12 + due.month) - (first.year * 12 + first.month) == step
        assert due.day == min(first.day, calendar.monthrange(due.year, due.month)[1])


@given(counts, firsts, st.sampled_from([("weekly", 7), ("biweekly", 14)]))
def test_weeks_are_seven_or_fourteen_days_from_the_first_date(count, first, kind):
    interval, days = kind
    assert schedule.due_dates(count, interval, first) == [first + timedelta(days=days * n) for n in range(count)]


def test_dates_after_a_short_month_return_to_the_first_dates_day():
    dates = schedule.due_dates(5, "monthly", date(2026, 1, 31))
    assert dates == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]


@pytest.mark.parametrize(("year", "last"), [(2024, 29), (2026, 28), (2000, 29), (2100, 28), (2028, 29)])
def test_a_date_in_february_is_at_most_its_last_day(year, last):
    assert schedule.due_dates(3, "monthly", date(year, 1, 30))[1:] == [date(year, 2, last), date(year, 3, 30)]


def test_a_schedule_may_start_on_the_29th_of_february():
    dates = schedule.due_dates(49, "monthly", date(2024, 2, 29))
    assert dates[12] == date(2025, 2, 28)
    assert dates[13] == date(2025, 3, 29)
    assert dates[48] == date(2028, 2, 29)


@pytest.mark.parametrize("first", [date(1999, 12, 31), date(2200, 1, 1), date(1, 1, 1), date(9999, 12, 31)])
@pytest.mark.parametrize("interval", INTERVALS)
def test_first_dates_outside_2000_to_2199_are_refused(first, interval):
    with pytest.raises(ValueError, match="between 2000 and 2199"):
        schedule.build(1000, 1, interval, first)


@pytest.mark.parametrize(
    ("interval", "first", "fits"),
    [
        ("monthly", date(2199, 10, 31), 3),
        ("weekly", date(2199, 12, 17), 3),
        ("biweekly", date(2199, 12, 3), 3),
        ("monthly", date(2199, 12, 31), 1),
        ("weekly", date(2199, 12, 31), 1),
    ],
)
def test_the_last_possible_date_is_the_last_day_of_2199(interval, first, fits):
    assert schedule.build(1000, fits, interval, first)[-1].due_date == LAST_DATE
    with pytest.raises(ValueError, match="between 2000 and 2199"):
        schedule.build(1000, fits + 1, interval, first)


def test_the_first_possible_date_is_the_first_day_of_2000():
    assert schedule.build(1000, 1, "monthly", FIRST_DATE)[0].due_date == date(2000, 1, 1)


@pytest.mark.parametrize("count", [0, -1, 61, 10**9])
def test_a_count_outside_1_to_60_is_refused(count):
    with pytest.raises(ValueError, match="1 to 60"):
        schedule.build(10**12, count, "monthly", date(2026, 1, 1))


@pytest.mark.parametrize(("total", "count"), [(5, 10), (3, 7), (0, 1), (-5, 1), (59, 60)])
def test_a_total_too_small_for_its_parts_is_refused(total, count):
    with pytest.raises(ValueError, match="too small"):
        schedule.build(total, count, "monthly", date(2026, 1, 1))


def test_an_installment_is_not_late_on_its_due_date():
    assert schedule.late_on(date(2026, 3, 31), 0) == date(2026, 4, 1)
    assert schedule.late_on(date(2026, 3, 31), 30) == date(2026, 5, 1)


@pytest.mark.parametrize(
    ("due", "zone", "late"),
    [
        (date(2026, 3, 31), "Asia/Riyadh", "2026-03-31T21:00"),
        (date(2026, 3, 31), "UTC", "2026-04-01T00:00"),
        # New York: clocks go forward on 8 March and back on 1 November 2026, both at 02:00
        (date(2026, 3, 7), "America/New_York", "2026-03-08T05:00"),
        (date(2026, 3, 8), "America/New_York", "2026-03-09T04:00"),
        (date(2026, 10, 31), "America/New_York", "2026-11-01T04:00"),
        (date(2026, 11, 1), "America/New_York", "2026-11-02T05:00"),
        # Auckland: back on 5 April, forward on 27 September 2026
        (date(2026, 4, 4), "Pacific/Auckland", "2026-04-04T11:00"),
        (date(2026, 4, 5), "Pacific/Auckland", "2026-04-05T12:00"),
        (date(2026, 9, 26), "Pacific/Auckland", "2026-09-26T12:00"),
        (date(2026, 9, 27), "Pacific/Auckland", "2026-09-27T11:00"),
        # Skipped midnight: the day begins at 01:00 summer time, the instant of 00:00 winter time
        (date(2026, 3, 28), "Asia/Beirut", "2026-03-28T22:00"),
        (date(2023, 9, 30), "America/Asuncion", "2023-10-01T04:00"),
        (date(2026, 3, 7), "America/Havana", "2026-03-08T05:00"),
        # Repeated midnight: the day begins at the first
        (date(2026, 10, 31), "America/Havana", "2026-11-01T04:00"),
        # Samoa skipped 30 December 2011: an installment late on that date is late when the next day begins
        (date(2011, 12, 29), "Pacific/Apia", "2011-12-30T10:00"),
    ],
)
def test_late_at_is_the_local_midnight_across_clock_changes(due, zone, late):
    assert schedule.late_at(due, 0, zone) == datetime.fromisoformat(late).replace(tzinfo=UTC)


@given(st.dates(FIRST_DATE, LAST_DATE), st.integers(0, MAX_GRACE_DAYS), zones)
def test_late_at_is_the_first_instant_of_the_local_date(due, grace, zone):
    late = schedule.late_at(due, grace, zone)
    assert late.utcoffset() == timedelta(0)
    local = ZoneInfo(zone)
    assert late.astimezone(local).date() >= schedule.late_on(due, grace)
    assert (late - timedelta(microseconds=1)).astimezone(local).date() < schedule.late_on(due, grace)
