"""The local date and the local midnight of a zone."""

from datetime import UTC, date, datetime

import pytest
import time_machine

from portal.domain import clock


@pytest.mark.parametrize(
    ("zone", "today"),
    [
        ("Asia/Riyadh", date(2026, 3, 1)),
        ("UTC", date(2026, 2, 28)),
        ("America/New_York", date(2026, 2, 28)),
        ("Pacific/Auckland", date(2026, 3, 1)),
        ("Pacific/Kiritimati", date(2026, 3, 1)),
    ],
)
def test_one_instant_has_different_dates_in_different_zones(zone, today):
    with time_machine.travel(datetime(2026, 2, 28, 21, 30, tzinfo=UTC), tick=False):
        assert clock.today(zone) == today


def test_zones_exclude_files_that_depend_on_the_machine(monkeypatch):
    names = {"UTC", "Asia/Riyadh", "Etc/GMT+3", "EST", "Factory", "localtime", "posixrules"}
    monkeypatch.setattr(clock, "_files", lambda: dict.fromkeys(names, UTC))
    assert set(clock.zones.__wrapped__()) == {"UTC", "Asia/Riyadh", "Etc/GMT+3", "EST"}


def test_now_is_aware_and_in_utc():
    with time_machine.travel(datetime(2026, 2, 28, 21, 30, tzinfo=UTC), tick=False):
        assert clock.now() == datetime(2026, 2, 28, 21, 30, tzinfo=UTC)
        assert clock.now().tzinfo is UTC


def test_a_day_begins_at_local_midnight_and_not_a_moment_before():
    before = datetime(2026, 2, 28, 20, 59, 59, 999_999, tzinfo=UTC)
    assert clock.local_date(before, "Asia/Riyadh") == date(2026, 2, 28)
    assert clock.local_date(datetime(2026, 2, 28, 21, tzinfo=UTC), "Asia/Riyadh") == date(2026, 3, 1)
