"""Jobs of these tests. Each notes in the worker's Valkey what it did, so that it can be counted."""

import os
import time

from rq import get_current_job


def note(what: str) -> None:
    """Under the key "noted", newest last."""
    job = get_current_job()
    assert job
    job.connection.rpush("noted", what)


def nap(name: str, seconds: float) -> None:
    """Takes so many seconds; a second time it takes none."""
    job = get_current_job()
    assert job
    note(f"began {name}")
    if job.connection.incr(f"naps:{name}") == 1:
        time.sleep(seconds)
    note(f"ended {name}")


def stubborn() -> None:
    """Takes a minute, and goes on with the next thing whatever goes wrong."""
    note("began")
    try:
        time.sleep(60)
    except Exception:
        note("went on")


def whoami() -> None:
    note(f"parent {os.getppid()}")
