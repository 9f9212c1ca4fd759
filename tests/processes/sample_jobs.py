"""Jobs of these tests. Each records its steps in the worker's Valkey."""

import time

from rq import get_current_job
from sqlalchemy import text

from portal.extensions import db


def record(step: str) -> None:
    """Append to the list "records"."""
    job = get_current_job()
    assert job
    job.connection.rpush("records", step)


def sleep(name: str, seconds: float) -> None:
    """Takes so many seconds. A second run takes none."""
    job = get_current_job()
    assert job
    record(f"started {name}")
    if job.connection.incr(f"runs:{name}") == 1:
        time.sleep(seconds)
    record(f"ended {name}")


def ignores_exceptions() -> None:
    """Takes a minute, and continues after any Exception."""
    record("started")
    try:
        time.sleep(60)
    except Exception:
        record("continued")


def ask_database() -> None:
    """Record the process of PostgreSQL that serves this job, and leave the transaction open."""
    record(str(db.session.scalar(text("SELECT pg_backend_pid()"))))
