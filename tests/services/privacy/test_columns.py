"""Every column that can hold a text is classified: erased with a person, kept with a reason, or without personal data.

A new column fails here until it is classified, and an erased one is handled in services/privacy/erasures.py.
"""

from typing import Final

from sqlalchemy import Engine, text

from portal.extensions import db

ERASED: Final = {
    "contacts": {"email", "email_key", "name", "phone", "note"},
    "customers": {"name", "phone", "note", "sort_name"},
    "email_changes": {"old_email", "old_email_key", "new_email"},
    "email_proofs": {"email", "email_key", "asked_from"},
    "sign_in_codes": {"asked_from"},
    "emails": {"data", "subject", "body", "html", "to_address"},
    "idempotency_keys": {"result"},
    "imports": {"content"},
    "operator_acts": {"reason", "detail"},
    "passkeys": {"name"},
    "payment_methods": {"token", "brand", "last4"},
    "plan_drafts": {"customer_email", "description", "external_id", "metadata"},
    "security_events": {"address", "browser"},
    "team_invitations": {"email", "email_key"},
    "texts": {"text"},
    "user_sessions": {"user_agent", "address"},
    "webhook_attempts": {"excerpt"},
    "users": {
        "email",
        "email_key",
        "language",
        "username",
        "username_key",
        "username_skeleton",
        "password_hash",
        "full_name",
        "phone",
    },
}
KEPT: Final = {
    "acceptances": {"way", "address", "version", "language", "terms"},  # the business's duty, for RETENTION_YEARS
    "reschedule_proposals": {"how", "address", "version", "language", "terms"},  # as acceptances
    "api_keys": {"name", "last_used_from"},  # the business's name of its key, and the address of its server
    "plans": {"description", "metadata", "external_id"},  # the business's duty, for RETENTION_YEARS; its identifier
    "imports": {"file_name"},  # the business's name of its file
    "merchants": {"business_name", "name_skeleton", "time_zone"},
    "letterheads": {"address", "tax_number", "email", "phone", "logo_type", "logo_version"},  # of the business
    "due_totals": {"time_zone"},  # the business's
    "webhook_endpoints": {"url", "secret", "old_secret"},  # the address of a server of the business
    "account_names": {"code", "name", "export_name"},  # the business's names of its accounts
    "payments": {"method", "gateway_reference", "metadata", "external_id"},  # as plans'; the gateway's names
    "refunds": {"metadata", "external_id"},  # the business's duty, as plans'
    "usual_terms": {"name"},  # the business's names of its schedules
}
IMPERSONAL: Final = {
    *(
        "account",
        "card",
        "charge_key",
        "closed_by",
        "collected_currency",
        "currency",
        "decline_code",
        "dedupe_key",
        "error_detail",
        "fingerprint",
    ),
    *(
        "gateway_key",
        "gateway_reference",
        "group_key",
        "home_currency",
        "interval",
        "key",
        "kind",
        "last_error",
        "link",
    ),
    *(
        "maker_role",
        "purpose",
        "message_id",
        "method",
        "outcome",
        "prefix",
        "reference",
        "refund_group",
        "registered_as",
    ),
    *("disabled_for", "problem", "revoked_for", "role", "scope", "state", "time_zone", "type", "version_num"),
}
"""Codes, references and keys, in any table."""
IMPERSONAL_IN: Final = {
    "events": {"data"},
    "security_events": {"facts"},
    "imports": {"matching"},
    "plan_drafts": {"fault", "schedule"},
    "gateway_charges": {"token", "wins_back"},
    "gateway_cards": {"token"},
}
"""Ids, codes and figures; the gateway's own tables."""

QUERY: Final = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND (data_type IN ('text', 'jsonb', 'inet') OR data_type LIKE 'character%')
"""


def unclassified(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        columns = connection.execute(text(QUERY)).all()
    return {
        f"{table}.{column}"
        for table, column in columns
        if column not in IMPERSONAL
        and not any(column in known.get(table, set()) for known in (ERASED, KEPT, IMPERSONAL_IN))
    }


def test_every_text_of_the_database_is_classified(context: object) -> None:
    assert unclassified(db.engine) == set()
