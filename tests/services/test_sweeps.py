"""The loop of a sweep: its order, its budget, and a step that fails."""

import random

import pytest
from structlog.testing import capture_logs

from portal.services import sweeps

IDS = [1, 2, 3, 4, 5]


def run(step, *, budget=60.0, ids=IDS):
    return sweeps.sweep(ids, step, budget=budget, event="row.failed", field="row_id")


@pytest.mark.parametrize("start", range(len(IDS)))
def test_each_id_has_one_step_in_order_from_a_random_start(monkeypatch, start):
    monkeypatch.setattr(random, "randrange", lambda stop: start)
    steps = []
    assert run(steps.append) == 5
    assert steps == IDS[start:] + IDS[:start]


def test_every_id_comes_first_in_some_sweep():
    first = set()
    for _ in range(500):
        steps = []
        run(steps.append)
        first.add(steps[0])
    assert first == set(IDS)


def test_a_step_that_fails_is_logged_and_counted_and_the_others_run():
    steps = []

    def step(row_id):
        steps.append(row_id)
        if row_id == 3:
            raise ValueError("row 3")

    with capture_logs() as logs:
        assert run(step) == 5
    assert sorted(steps) == IDS
    assert [(entry["event"], entry["row_id"], entry["log_level"]) for entry in logs] == [("row.failed", 3, "error")]


def test_an_interrupt_ends_the_sweep():
    steps = []

    def step(row_id):
        steps.append(row_id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(step)
    assert len(steps) == 1


def test_no_step_begins_after_the_budget(monkeypatch):
    seconds = iter((0.0, 1.0, 10.0, 10.1))
    monkeypatch.setattr("portal.services.sweeps.time.monotonic", lambda: next(seconds))
    steps = []
    assert run(steps.append, budget=10.0) == 2
    assert len(steps) == 2


def test_without_ids_there_is_no_step():
    assert run(IDS.append, ids=[]) == 0
