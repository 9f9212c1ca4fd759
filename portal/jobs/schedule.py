"""The schedule of the periodic jobs, as data. Entries have fixed ids and are registered again in every loop.

A job only means "look now": the database decides what is due, so a lost, late or doubled run does no harm.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """Run `portal.jobs.tasks.<job>` every `every` seconds."""

    job: str
    every: int


SCHEDULE: Final = (
    Entry("drain_outbox", every=5),
    Entry("number_events", every=5),
    Entry("deliver_webhooks", every=5),
    Entry("settle_unknown_payments", every=15),
    Entry("settle_unknown_refunds", every=15),
    Entry("deliver_callbacks", every=15),
    Entry("sweep_stuck", every=30),
    Entry("collect_automatic_payments", every=60),
    Entry("mark_late_installments", every=60),
    Entry("send_due_soon_reminders", every=60),
    Entry("send_overdue_reminders", every=60),
    Entry("post_digests", every=60),
    Entry("open_drafts", every=60),
    Entry("number_entries", every=60),
    Entry("fold_totals", every=60),
    Entry("follow_up_acceptances", every=300),
    Entry("end_lapsed_proposals", every=300),
    Entry("remove_lost_factors", every=300),
    Entry("purge_expired", every=3600),
    Entry("end_closed_merchants", every=3600),
)
