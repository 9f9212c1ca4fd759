"""Readiness, for load balancers and supervisors."""

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
            response = client.get("/readyz")
        assert response.status_code == 200
        assert response.json == {"status": status, "problems": {}, "degraded": degraded}


def test_readyz_is_degraded_without_valkey(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url="unix:///nowhere/valkey.sock"))
    response = app.test_client().get("/readyz")
    assert response.status_code == 200 and response.json
    assert (response.json["status"], response.json["degraded"]) == ("degraded", {"valkey": "does not answer"})
    assert app.test_client().get("/healthz").status_code == 200
