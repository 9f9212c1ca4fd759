"""When the periodic jobs run, as data. Entries have fixed ids and are registered again on every loop.

Each only means "look now": what is due is decided by the database, so an entry that is lost, late or doubled does no
harm.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """Run `portal.jobs.<job>` every `every` seconds."""

    job: str
    every: int


SCHEDULE: Final = (
    Entry("drain_outbox", every=5),
    Entry("settle_unknown_payments", every=15),
    Entry("settle_unknown_refunds", every=15),
    Entry("deliver_callbacks", every=15),
    Entry("sweep_stuck", every=30),
    Entry("collect_automatic_payments", every=60),
    Entry("mark_late_installments", every=60),
    Entry("send_due_soon_reminders", every=60),
    Entry("send_overdue_reminders", every=60),
    Entry("purge_expired", every=3600),
)
