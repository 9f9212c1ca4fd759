"""Retention: delete expired rows of every kind. Each kind's own module has its rule (`purge`)."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from portal.services import idempotency, security_events
from portal.services.accounts import password_resets, proofs, registrations, sessions, tokens
from portal.services.imports import imports
from portal.services.mail import delivery
from portal.services.privacy import erasures
from portal.services.security import kept_forms, passkeys, sign_in_codes, sign_in_steps
from portal.services.team import invitations
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work
from portal.services.webhooks import delivery as webhooks

log = structlog.get_logger(__name__)

CHUNK: Final = 10_000
"""Rows of one statement."""
BUDGET: Final = 60.0
"""Seconds after which the job leaves the remaining rows to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS
KINDS: Final[dict[str, Callable[[int], int]]] = {
    "idempotency_keys": unit_of_work(idempotency.purge),
    "token_families": tokens.purge,
    "mails": delivery.purge,
    "password_resets": password_resets.purge,
    "team_invitations": invitations.purge,
    "retained": erasures.purge_retained,
    "unclaimed": erasures.purge_unclaimed,
    "email_proofs": proofs.purge,
    "registrations": registrations.purge,
    "user_sessions": sessions.purge,
    "sign_in_steps": sign_in_steps.purge,
    "passkey_challenges": passkeys.purge,
    "kept_forms": kept_forms.purge,
    "sign_in_codes": sign_in_codes.purge,
    "security_events": security_events.purge,
    "webhook_deliveries": webhooks.purge,
    "imports": imports.purge,
}


def purge_expired() -> int:
    """Delete the expired rows, CHUNK rows of each kind in turn. Returns the number of rows.

    Starts no chunk after BUDGET seconds. A kind that fails is logged and left to the next run; the others go on.
    """
    total, stop = 0, time.monotonic() + BUDGET
    names = deque(KINDS)
    while names and time.monotonic() < stop:
        name = names.popleft()
        count = _try(name, KINDS[name])
        total += count
        if count >= CHUNK:
            names.append(name)
    return total


def _try(name: str, purge: Callable[[int], int]) -> int:
    try:
        return purge(CHUNK)
    except Exception:
        log.exception("purge.failed", kind=name)
        return 0
