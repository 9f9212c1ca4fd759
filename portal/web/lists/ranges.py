"""The usual ranges of days of a list."""

from datetime import date, timedelta

from flask_babel import gettext as _


def past_ranges(today: date) -> list[tuple[str, date, date]]:
    """Words with the first and the last day of each range, which ends today or before. `today` is a local date."""
    month = today.replace(day=1)
    before = month - timedelta(days=1)
    return [
        (str(_("Today")), today, today),
        (str(_("Last 7 days")), today - timedelta(days=6), today),
        (str(_("This month")), month, today),
        (str(_("Last month")), before.replace(day=1), before),
        (str(_("This year")), today.replace(month=1, day=1), today),
    ]
