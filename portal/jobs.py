"""Door 3: every job RQ may run, by name. At least once, and maybe twice at a time, so each only says "look now"."""

from portal.services import idempotency, payments, tokens


def settle_payment(payment_id: int) -> None:
    """Ask the gateway what became of one payment."""
    payments.settle_payment(payment_id)


def settle_unknown_payments() -> int:
    """Ask the gateway about every payment that has been in flight for too long."""
    return payments.settle_unknown_payments()


def purge_expired() -> int:
    """Forget what is past its time."""
    return idempotency.purge() + tokens.purge()
