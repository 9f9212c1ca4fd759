"""All data of a person as one JSON document, streamed: memory use does not grow with it.

All rows are from one snapshot of the database. Amounts are decimal text in their currency's own digits, instants and
dates are ISO 8601. The document holds no private note of a business, no secret and nothing of other people.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import Select, and_, case, select
from sqlalchemy.orm import aliased

from portal.domain import clock, money
from portal.extensions import db
from portal.models import (
    Acceptance,
    ApiKey,
    Contact,
    Customer,
    Dispute,
    Email,
    EmailChange,
    EmailProof,
    Event,
    Installment,
    Membership,
    Merchant,
    NoticeSettings,
    OperatorAct,
    Passkey,
    Payment,
    PaymentMethod,
    Plan,
    Refund,
    Reminder,
    RescheduleProposal,
    SecurityEvent,
    TeamInvitation,
    TokenFamily,
    User,
    UserSession,
)
from portal.models.payments.payments import RECORDED_METHODS
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.reports.exports.columns import BATCH_ROWS

AMOUNTS: Final = frozenset({"total", "amount", "paid", "credited", "written_off", "moved", "refunded", "reversed"})
"""The columns that are minor units of the row's `currency`."""


def stream(user_id: int) -> Iterator[str]:
    """The parts of the document, as they are read."""
    with db.engine.connect() as connection:
        connection = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True, stream_results=True, yield_per=BATCH_ROWS
        )
        yield f'{{"made_at": {json.dumps(clock.now().isoformat())}'
        for name, query in _sections(user_id).items():
            yield f",\n{json.dumps(name)}: ["
            separator = "\n"
            for row in connection.execute(query).mappings():
                yield separator + json.dumps(_plain(row), ensure_ascii=False)
                separator = ",\n"
            yield "]"
        yield "}\n"


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in row.items():
        if name in AMOUNTS and value is not None:
            value = money.plain(int(value), row["currency"])
        elif isinstance(value, date):
            value = value.isoformat()
        values[str(name)] = value
    return values


def _sections(user_id: int) -> dict[str, Select[*tuple[Any, ...]]]:
    """The query of each list of the document, by its name."""
    plan, business, now = aliased(Plan), Merchant.business_name.label("business"), clock.now()
    mine = select(Plan.id).where(Plan.customer_id == user_id)
    holds_link = Email.data.has_key("holds_link")
    email_key = select(User.email_key).where(User.id == user_id).scalar_subquery()
    return {
        "account": select(
            User.id,
            User.username,
            User.email,
            User.registered_as,
            User.created_at,
            User.early_reminders,
            User.language,
            User.full_name,
            User.phone,
            User.calendar_made_at,
        ).where(User.id == user_id),
        "businesses": select(
            Merchant.id, business, Membership.role, Membership.created_at,
            NoticeSettings.off.label("notices_off"), NoticeSettings.at_once.label("notices_at_once"),
        )
        .join(Merchant, Merchant.id == Membership.merchant_id)
        .outerjoin(
            NoticeSettings,
            and_(NoticeSettings.user_id == user_id, NoticeSettings.merchant_id == Membership.merchant_id),
        )
        .where(Membership.user_id == user_id)
        .order_by(Merchant.id),
        "invitations_to_businesses": select(
            business, TeamInvitation.role, TeamInvitation.created_at, TeamInvitation.expires_at, TeamInvitation.ended_at
        )
        .join(Merchant, Merchant.id == TeamInvitation.merchant_id)
        .where(TeamInvitation.email_key == email_key)
        .order_by(TeamInvitation.id),
        "sessions": select(
            UserSession.user_agent, UserSession.address, UserSession.created_at, UserSession.last_used_at,
            UserSession.expires_at, UserSession.ended_at
        )
        .where(UserSession.user_id == user_id)
        .order_by(UserSession.id),
        "passkeys": select(Passkey.name, Passkey.created_at, Passkey.last_used_at)
        .where(Passkey.user_id == user_id)
        .order_by(Passkey.id),
        "email_changes": select(
            EmailChange.old_email, EmailChange.new_email, EmailChange.created_at, EmailChange.ended_at
        )
        .where(EmailChange.user_id == user_id)
        .order_by(EmailChange.id),
        "email_proofs": select(EmailProof.email, EmailProof.asked_from, EmailProof.created_at, EmailProof.ended_at)
        .where(EmailProof.user_id == user_id)
        .order_by(EmailProof.id),
        "decisions_of_operators": select(OperatorAct.kind, OperatorAct.reason, OperatorAct.created_at)
        .where(OperatorAct.user_id == user_id)
        .order_by(OperatorAct.id),
        "security_events": select(
            SecurityEvent.kind, SecurityEvent.address, SecurityEvent.browser, SecurityEvent.created_at
        )
        .where(SecurityEvent.user_id == user_id, SecurityEvent.by_id.is_(None))
        .order_by(SecurityEvent.id),
        "sign_ins_of_programs": select(TokenFamily.created_at, TokenFamily.expires_at, TokenFamily.ended_at)
        .where(TokenFamily.user_id == user_id)
        .order_by(TokenFamily.id),
        "api_keys": select(
            business, ApiKey.name, ApiKey.prefix, ApiKey.created_at, ApiKey.last_used_at, ApiKey.last_used_from,
            ApiKey.revoked_at
        )
        .join(Merchant, Merchant.id == ApiKey.merchant_id)
        .where(ApiKey.created_by == user_id)
        .order_by(ApiKey.id),
        "saved_cards": select(
            PaymentMethod.brand, PaymentMethod.last4, PaymentMethod.created_at, PaymentMethod.removed_at
        )
        .where(PaymentMethod.customer_id == user_id)
        .order_by(PaymentMethod.id),
        "plans": select(
            plan.id, business, plan.description, plan.total, plan.currency, plan.num_installments, plan.interval,
            plan.start_date, plan.state, plan.created_at, plan.closed_at, plan.cancelled_at, plan.automatic_since,
        )
        .join(Merchant, Merchant.id == plan.merchant_id)
        .where(plan.customer_id == user_id)
        .order_by(plan.id),
        "shops": select(
            business, Customer.created_at, Customer.accepted_at, Customer.blocked_at, Customer.barred_at, Customer.name,
            Customer.phone,
        )
        .join(Merchant, Merchant.id == Customer.merchant_id)
        .where(Customer.user_id == user_id)
        .order_by(Customer.merchant_id),
        "shops_that_imported_you": select(business, Contact.created_at, Contact.name, Contact.phone)
        .join(Merchant, Merchant.id == Contact.merchant_id)
        .where(Contact.email_key == email_key)
        .order_by(Contact.merchant_id),
        "reschedule_proposals": select(
            RescheduleProposal.plan_id, RescheduleProposal.proposed_at, RescheduleProposal.outcome,
            RescheduleProposal.ended_at, RescheduleProposal.address, RescheduleProposal.version,
            RescheduleProposal.language, RescheduleProposal.terms,
        )
        .where(RescheduleProposal.user_id == user_id)
        .order_by(RescheduleProposal.id),
        "acceptances": select(
            Acceptance.plan_id, Acceptance.accepted_at, Acceptance.way, Acceptance.address, Acceptance.version,
            Acceptance.language, Acceptance.terms,
        )
        .where(Acceptance.user_id == user_id)
        .order_by(Acceptance.plan_id),
        "disputes": select(
            Dispute.plan_id, Dispute.opened_at, Dispute.answered_at, Dispute.answer.label("answer"),
            Dispute.insisted_at, Dispute.ended_at, Dispute.outcome,
        )
        .where(Dispute.user_id == user_id)
        .order_by(Dispute.id),
        "installments": select(
            Installment.plan_id, Installment.number, Installment.due_date, Installment.amount, Installment.currency,
            Installment.paid, Installment.credited, Installment.written_off, Installment.moved, Installment.paid_at,
            Installment.cancelled_at,
            case(*((Installment.has_status(status, now), status) for status in INSTALLMENT_STATUSES)).label("status"),
        )
        .where(Installment.customer_id == user_id)
        .order_by(Installment.plan_id, Installment.number, Installment.id),
        "payments": select(
            Payment.id, Payment.plan_id, Payment.amount, Payment.currency, Payment.state,
            case((Payment.method.in_(RECORDED_METHODS), Payment.method), else_="card").label("method"),
            Payment.automatic, Payment.received_on, Payment.reference.label("reference"), Payment.refunded,
            Payment.reversed, Payment.decline_code, Payment.created_at, Payment.settled_at, Payment.value_at,
            Payment.reversed_at, Payment.wins_back_id.label("wins_back"),
        )
        .where(Payment.customer_id == user_id)
        .order_by(Payment.id),
        "refunds": select(
            Refund.id, Refund.payment_id, Refund.plan_id, Refund.amount, Refund.currency, Refund.state,
            Refund.reason.label("reason"), Refund.created_at, Refund.settled_at,
        )
        .where(Refund.customer_id == user_id)
        .order_by(Refund.id),
        "reminders": select(Reminder.plan_id, Reminder.due_date, Reminder.rule, Reminder.state, Reminder.sent_at)
        .where(Reminder.customer_id == user_id)
        .order_by(Reminder.id),
        "events": select(
            Event.plan_id, Event.kind, Event.created_at, Event.data, (Event.actor_id == user_id).label("by_you")
        )
        .where(Event.plan_id.in_(mine))
        .order_by(Event.id),
        "acts_for_businesses": select(Event.plan_id, Event.kind, Event.created_at)
        .where(Event.actor_id == user_id, Event.plan_id.not_in(mine))
        .order_by(Event.id),
        "mails": select(
            Email.kind, Email.state, Email.created_at, Email.ended_at, Email.subject,
            case((holds_link, None), else_=Email.body).label("text"),
        )
        .where(Email.to_user_id == user_id)
        .order_by(Email.id),
    }  # fmt: skip
