"""Rows: tables, constraints, what a row can answer about itself, and named selects.

Importing this package makes the metadata complete.
"""

from portal.models.api_keys import ApiKey
from portal.models.events import Event
from portal.models.idempotency_keys import IdempotencyKey
from portal.models.installments import Installment
from portal.models.invitations import Invitation
from portal.models.ledger import LedgerEntry, LedgerLine
from portal.models.merchants import Merchant
from portal.models.outbox import Outbox
from portal.models.password_resets import PasswordReset
from portal.models.payment_methods import PaymentMethod
from portal.models.payments import Allocation, Payment
from portal.models.plans import Plan
from portal.models.refresh_tokens import RefreshToken, TokenFamily
from portal.models.refunds import Refund
from portal.models.reminders import AutomaticAttempt, Mute, Reminder
from portal.models.user_sessions import UserSession
from portal.models.users import User

__all__ = [
    "Allocation",
    "ApiKey",
    "AutomaticAttempt",
    "Event",
    "IdempotencyKey",
    "Installment",
    "Invitation",
    "LedgerEntry",
    "LedgerLine",
    "Merchant",
    "Mute",
    "Outbox",
    "PasswordReset",
    "Payment",
    "PaymentMethod",
    "Plan",
    "RefreshToken",
    "Refund",
    "Reminder",
    "TokenFamily",
    "User",
    "UserSession",
]
