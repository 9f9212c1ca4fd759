"""What load balancers and supervisors are told."""

from dataclasses import replace
from datetime import timedelta

import pytest
import redis
import time_machine
from flask import Flask

from portal import queue
from portal.domain import clock
from portal.jobs.scheduler import look


def test_readyz_is_degraded_when_the_scheduler_has_not_ticked_for_three_intervals(
    app: Flask, database: str, valkey: redis.Redis
) -> None:
    look(valkey, ())
    now, client = clock.now(), app.test_client()
    for seconds, status, degraded in (
        (0, "ok", {}),
        (3 * queue.TICK_SECONDS - 1, "ok", {}),
        (3 * queue.TICK_SECONDS + 1, "degraded", {"scheduler": "has not ticked for three intervals"}),
    ):
        with time_machine.travel(now + timedelta(seconds=seconds)):
            answer = client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json == {"status": status, "problems": {}, "degraded": degraded}


def test_readyz_is_degraded_without_valkey(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url="unix:///nowhere/valkey.sock"))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200 and answer.json
    assert (answer.json["status"], answer.json["degraded"]) == ("degraded", {"valkey": "does not answer"})
    assert app.test_client().get("/healthz").status_code == 200
