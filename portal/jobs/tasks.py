"""Door 3: every job RQ may run, by name. At least once, and maybe twice at a time, so each only says "look now"."""

from portal.services.mail import delivery
from portal.services.maintenance import retention, watchdog
from portal.services.payments import automatic, callbacks, payments, refunds
from portal.services.plans import lateness
from portal.services.reminders import reminders


def settle_payment(payment_id: int) -> None:
    """Ask the gateway what became of one payment."""
    payments.settle_payment(payment_id)


def settle_refund(refund_id: int) -> None:
    """Ask the gateway what became of one refund."""
    refunds.settle_refund(refund_id)


def settle_unknown_payments() -> int:
    """Ask the gateway about every payment that has been in flight for too long."""
    return payments.settle_unknown_payments()


def settle_unknown_refunds() -> int:
    """Ask the gateway about every refund that has been in flight for too long, and for what nobody asked for."""
    return refunds.settle_unknown_refunds()


def deliver_callbacks() -> int:
    """Play the simulated gateway's part: payments bounce, and it tells us."""
    return callbacks.deliver_due()


def drain_outbox() -> int:
    """Send what waits in the outbox."""
    return delivery.drain()


def sweep_stuck() -> dict[str, int]:
    """Bring back what waits and nobody looks at."""
    return watchdog.sweep()


def collect_automatic_payments() -> int:
    """Collect what is due on plans whose customers asked for that."""
    return automatic.collect_automatic_payments()


def send_due_soon_reminders() -> int:
    """Find who is to be reminded before the due day and on it."""
    return reminders.send_due_soon_reminders()


def mark_late_installments() -> int:
    """Write down, once, which installments have become late."""
    return lateness.mark_late_installments()


def send_overdue_reminders() -> int:
    """Find who is to be reminded after the due day."""
    return reminders.send_overdue_reminders()


def purge_expired() -> int:
    """Forget what is past its time."""
    return retention.purge_expired()
