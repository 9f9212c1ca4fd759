"""Entry point 3: every job that RQ may run, by name. RQ may run a job twice, even at once, so a job is idempotent."""

from portal.services import events
from portal.services.adjustments import proposals
from portal.services.agreements import acceptances
from portal.services.books import numbers, totals
from portal.services.mail import delivery
from portal.services.maintenance import retention, watchdog
from portal.services.notices import digests
from portal.services.operations import closings, lost_factors
from portal.services.payments import automatic, callbacks, outcomes, refunds
from portal.services.plans import drafts, lateness
from portal.services.reminders import reminders
from portal.services.webhooks import delivery as webhooks


def settle_payment(payment_id: int) -> None:
    """Settle one payment in flight."""
    outcomes.settle_payment(payment_id)


def settle_refund(refund_id: int) -> None:
    """Settle one refund in flight."""
    refunds.settle_refund(refund_id)


def settle_unknown_payments() -> int:
    """Settle the payments that have been in flight for too long."""
    return outcomes.settle_unknown_payments()


def settle_unknown_refunds() -> int:
    """Settle the refunds that have been in flight for too long, and send the ones that were never sent."""
    return refunds.settle_unknown_refunds()


def deliver_callbacks() -> int:
    """Record the reversals that no callback of the gateway has brought."""
    return callbacks.deliver_due()


def remove_lost_factors() -> int:
    """Remove the second factors whose removal an operator asked for a day ago."""
    return lost_factors.remove_due()


def drain_outbox() -> int:
    """Send the mails that wait in the outbox."""
    return delivery.drain()


def number_events() -> int:
    """Give the new events for outsiders their places in the feed."""
    return events.number_new()


def deliver_webhooks() -> int:
    """Send the waiting events to the endpoints of businesses."""
    return webhooks.deliver_due()


def sweep_stuck() -> dict[str, int]:
    """Restart or report stuck work."""
    return watchdog.sweep()


def collect_automatic_payments() -> int:
    """Collect the due amounts of plans with automatic payment."""
    return automatic.collect_automatic_payments()


def send_due_soon_reminders() -> int:
    """Post the reminders up to the due day."""
    return reminders.send_due_soon_reminders()


def mark_late_installments() -> int:
    """Record the installments that have become late."""
    return lateness.mark_late_installments()


def follow_up_acceptances() -> int:
    """Ask again about plans that wait for acceptance, and cancel those that lapsed."""
    return acceptances.follow_up()


def end_lapsed_proposals() -> int:
    """End the proposals of other days that nobody answered in time."""
    return proposals.end_lapsed()


def send_overdue_reminders() -> int:
    """Post the reminders after the due day."""
    return reminders.send_overdue_reminders()


def post_digests() -> int:
    """Post the digests for the members of businesses."""
    return digests.post_due()


def open_drafts() -> int:
    """Make plans of the drafts of approved businesses."""
    return drafts.open_all()


def end_closed_merchants() -> int:
    """End the businesses whose wind-down is over."""
    return closings.end_closed()


def number_entries() -> int:
    """Give the ledger entries of each business their numbers."""
    return numbers.number_all()


def fold_totals() -> int:
    """Fold the sums behind the figures of each business into fewer rows."""
    return totals.fold_all()


def purge_expired() -> int:
    """Delete expired rows."""
    return retention.purge_expired()
