"""The tables as SQLAlchemy models: columns, constraints, indexes, computed properties and named selects.

Importing this package registers every table in the metadata.
"""

from portal.models.accounts.api_keys import ApiKey
from portal.models.accounts.email_changes import EmailChange
from portal.models.accounts.email_proofs import EmailProof
from portal.models.accounts.erasures import Erasure
from portal.models.accounts.memberships import Membership
from portal.models.accounts.merchants import Merchant
from portal.models.accounts.operator_acts import OperatorAct
from portal.models.accounts.password_resets import PasswordReset
from portal.models.accounts.refresh_tokens import RefreshToken, TokenFamily
from portal.models.accounts.team_invitations import TeamInvitation
from portal.models.accounts.user_sessions import UserSession
from portal.models.accounts.users import User
from portal.models.emails import Email
from portal.models.events import Event
from portal.models.idempotency_keys import IdempotencyKey
from portal.models.ledger import AccountName, EntryNumber, LedgerEntry, LedgerLine
from portal.models.letterheads import Letterhead
from portal.models.notices import NoticeSettings
from portal.models.payments.payment_methods import PaymentMethod
from portal.models.payments.payments import Allocation, Payment
from portal.models.payments.refunds import Refund
from portal.models.plans.agreements import Acceptance, Customer, Dispute
from portal.models.plans.imports import Contact, Import
from portal.models.plans.installments import Installment
from portal.models.plans.invitations import Invitation
from portal.models.plans.plan_drafts import PlanDraft
from portal.models.plans.plans import Plan, PlanGrams
from portal.models.plans.reminders import AutomaticAttempt, Mute, Reminder
from portal.models.plans.reschedule_proposals import RescheduleProposal
from portal.models.plans.shop_reports import ShopReport
from portal.models.plans.usual_terms import UsualTerms
from portal.models.public_events import PublicEvent
from portal.models.security.factor_removals import FactorRemoval
from portal.models.security.kept_forms import KeptForm
from portal.models.security.passkeys import Passkey, PasskeyChallenge
from portal.models.security.second_factors import RecoveryCode, SignInStep, TotpSecret
from portal.models.security.sign_in_codes import SignInCode
from portal.models.security_events import SecurityEvent
from portal.models.texts import TypedText
from portal.models.totals import CollectedTotal, CustomerBalance, DueTotal
from portal.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = [
    "Acceptance",
    "AccountName",
    "Allocation",
    "ApiKey",
    "AutomaticAttempt",
    "CollectedTotal",
    "Contact",
    "Customer",
    "CustomerBalance",
    "Dispute",
    "DueTotal",
    "Email",
    "EmailChange",
    "EmailProof",
    "EntryNumber",
    "Erasure",
    "Event",
    "FactorRemoval",
    "IdempotencyKey",
    "Import",
    "Installment",
    "Invitation",
    "KeptForm",
    "LedgerEntry",
    "LedgerLine",
    "Letterhead",
    "Membership",
    "Merchant",
    "Mute",
    "NoticeSettings",
    "OperatorAct",
    "Passkey",
    "PasskeyChallenge",
    "PasswordReset",
    "Payment",
    "PaymentMethod",
    "Plan",
    "PlanDraft",
    "PlanGrams",
    "PublicEvent",
    "RecoveryCode",
    "RefreshToken",
    "Refund",
    "Reminder",
    "RescheduleProposal",
    "SecurityEvent",
    "ShopReport",
    "SignInCode",
    "SignInStep",
    "TeamInvitation",
    "TokenFamily",
    "TotpSecret",
    "TypedText",
    "User",
    "UserSession",
    "UsualTerms",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
]
