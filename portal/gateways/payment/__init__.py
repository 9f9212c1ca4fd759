"""The payment gateway: charges, refunds and saved cards by key and token.

`protocol` is the interface, `outcomes` holds its results, `registry` names the implementations. `active()` is the one
that PAYMENT_GATEWAY names. Each implementation has a folder of its own, which only the registry imports.
"""

from portal.gateways.payment.outcomes import UNKNOWN, OfferedMethod, Outcome, SavedCard
from portal.gateways.payment.protocol import (
    MAX_CALL_SECONDS,
    BadSignature,
    PaymentGateway,
    UnreadableCallback,
)
from portal.gateways.payment.registry import active, init_app, install

__all__ = [
    "MAX_CALL_SECONDS",
    "UNKNOWN",
    "BadSignature",
    "OfferedMethod",
    "Outcome",
    "PaymentGateway",
    "SavedCard",
    "UnreadableCallback",
    "active",
    "init_app",
    "install",
]
