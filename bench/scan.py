"""The scan for due reminders over a million installments, of which 50,000 are due.

Prints the duration of the first scan, relative to inserting as many rows into a table without constraints, the duration
of a second scan without anything due, the longest statement, the growth of this process, and PostgreSQL's CPU. On a
machine with other work the durations say little; the ratios and the CPU are steadier.
"""

import time
from typing import Any

import psutil
from flask import Flask
from sqlalchemy import event, text

from bench import _large
from bench._app import application, postgres_cpu
from portal.extensions import db
from portal.services.plans import lateness
from portal.services.reminders import reminders

DUE = 50_000

# The plans are old, so that no rule lies before its plan. The first reminder day is chosen so that DUE installments
# have reached it.
PREPARE = """
SET session_replication_role = replica;
UPDATE plans SET created_at = created_at - interval '100 days' WHERE state = 'active';
UPDATE merchants SET sending_hour = 0, reminder_days = ARRAY[
    (SELECT greatest(-60, current_date - due_date)::smallint FROM installments
     WHERE remaining > 0 AND due_date > current_date - 300 ORDER BY due_date OFFSET :due LIMIT 1), 14::smallint];
SET session_replication_role = DEFAULT
"""
PLAIN = """
CREATE TABLE plain (a bigint, b smallint, c date, d bigint, e bigint, f bigint, g date, h text, i timestamptz);
INSERT INTO plain
    SELECT n, 7, current_date, n, n, n, current_date, 'waiting', now() FROM generate_series(1, :many) AS n;
DROP TABLE plain
"""


class Watch:
    """Counts and times the statements inside the block; measures PostgreSQL's CPU and the growth of this process."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.process = psutil.Process()
        self.rss = self.peak = self.process.memory_info().rss
        self.statements = 0
        self.longest = self._began = 0.0

    def before(self, *_: Any) -> None:
        self.statements += 1
        self._began = time.perf_counter()

    def after(self, *_: Any) -> None:
        self.longest = max(self.longest, time.perf_counter() - self._began)
        self.peak = max(self.peak, self.process.memory_info().rss)

    def __enter__(self) -> "Watch":
        event.listen(db.engine, "before_cursor_execute", self.before)
        event.listen(db.engine, "after_cursor_execute", self.after)
        self.cpu = -postgres_cpu(self.app)
        self.started = time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self.started
        self.cpu += postgres_cpu(self.app)
        event.remove(db.engine, "before_cursor_execute", self.before)
        event.remove(db.engine, "after_cursor_execute", self.after)


def run_all(statements: str, **parameters: Any) -> float:
    """The duration of these statements in one transaction, in seconds."""
    began = time.perf_counter()
    with db.engine.begin() as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement), parameters)
    return time.perf_counter() - began


def main() -> None:
    with application() as app:
        run(app)


def run(app: Flask) -> None:
    with app.app_context():
        with db.engine.connect() as connection:
            _large.fill(connection)
        run_all(PREPARE, due=DUE)
        run_all("ANALYZE merchants; ANALYZE plans; ANALYZE installments")
        with Watch(app) as first:
            reminder_count = scan()
        plain = run_all(PLAIN, many=reminder_count)
        with Watch(app) as second:
            assert scan() == 0
        with Watch(app) as late:
            late_count = lateness.mark_late_installments()
        counted = text("SELECT count(*), count(*) FILTER (WHERE remaining > 0) FROM installments")
        installments, still_open = db.session.execute(counted).one()
        mails = db.session.scalar(text("SELECT count(*) FROM emails"))
        db.session.rollback()
    print(f"{installments:,} installments, {still_open:,} of them open")
    rate = reminder_count / first.seconds
    print(f"{reminder_count:,} reminders in {mails:,} mails: {first.seconds:.1f} s, {rate:,.0f} rows/s")
    used = first.cpu / reminder_count, late.cpu / late_count
    print(f"PostgreSQL's CPU: {used[0] * 1e6:.0f} us for a reminder, {used[1] * 1e6:.0f} us for a mark")
    print(f"ratio to as many rows in a table without rules: {first.seconds / plain:.1f}")
    print(f"{first.statements} statements, the longest {first.longest * 1000:.0f} ms")
    print(f"this process grew by {(first.peak - first.rss) / 2**20:.1f} MiB, ratio {first.peak / first.rss:.2f}")
    print(f"a second scan, with nothing to do: {second.seconds:.2f} s, ratio {second.seconds / first.seconds:.3f}")
    print(f"{late_count:,} installments marked as late: {late.seconds:.1f} s, {late_count / late.seconds:,.0f} rows/s")


def scan() -> int:
    """The scans for reminders that the schedule runs."""
    return reminders.send_due_soon_reminders() + reminders.send_overdue_reminders()


if __name__ == "__main__":
    main()
