"""Tests of services: a periodic job does only what the worker's look at PostgreSQL would find (jobs/idle.py)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from types import ModuleType
from typing import Any

import pytest
from flask import current_app

from portal import queue
from portal.extensions import db
from portal.jobs import idle
from portal.services import events
from portal.services.adjustments import proposals
from portal.services.agreements import acceptances
from portal.services.books import numbers, totals
from portal.services.mail import delivery
from portal.services.maintenance import queue_housekeeping, watchdog
from portal.services.notices import digests
from portal.services.operations import lost_factors
from portal.services.payments import automatic, outcomes, refunds
from portal.services.plans import drafts, lateness
from portal.services.reminders import reminders
from portal.services.webhooks import delivery as webhooks
from portal.valkey import connections

WORK: dict[str, tuple[ModuleType, str]] = {
    "mark_late_installments": (lateness, "mark_late_installments"),
    "send_due_soon_reminders": (reminders, "send_due_soon_reminders"),
    "send_overdue_reminders": (reminders, "send_overdue_reminders"),
    "post_digests": (digests, "post_due"),
    "follow_up_acceptances": (acceptances, "follow_up"),
    "end_lapsed_proposals": (proposals, "end_lapsed"),
    "remove_lost_factors": (lost_factors, "remove_due"),
    "collect_automatic_payments": (automatic, "collect_automatic_payments"),
    "sweep_stuck": (watchdog, "sweep"),
    "settle_unknown_payments": (outcomes, "settle_unknown_payments"),
    "settle_unknown_refunds": (refunds, "settle_unknown_refunds"),
    "drain_outbox": (delivery, "drain"),
    "number_events": (events, "number_new"),
    "number_entries": (numbers, "number_all"),
    "deliver_webhooks": (webhooks, "deliver_due"),
    "open_drafts": (drafts, "open_all"),
    "fold_totals": (totals, "fold_all"),
}
"""By job: the function that does its work."""


@pytest.fixture(autouse=True)
def compared_looks() -> Iterator[None]:
    """Each of these jobs that does something was found before, whichever test calls it."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for job, (module, function) in WORK.items():
            patch.setattr(module, function, _compared(job, getattr(module, function), stack))
        yield


def _compared(job: str, work: Callable[..., Any], stack: ExitStack) -> Callable[..., Any]:
    watches: dict[str, idle.Watch] = {}

    def run(*args: Any, **kwargs: Any) -> Any:
        url = current_app.config["QIST"].database_url
        if url not in watches:
            watches[url] = stack.enter_context(closing(idle.Watch(url, is_tidy=_is_tidy)))
        db.session.commit()  # a test's own rows, which another connection must see
        finds_nothing = watches[url].finds_nothing(f"{queue.JOBS}.{job}")
        done = work(*args, **kwargs)
        assert not (finds_nothing and done), f"the worker would have left out {job}, which did {done}"
        return done

    return run


def _is_tidy() -> bool:
    return queue_housekeeping.is_tidy(connections.for_requests(current_app.config["QIST"].redis_url))
