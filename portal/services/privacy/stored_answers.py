"""The stored answers of the last 24 hours about a person who is erased.

The rows stay, so that a repeated request still has one effect. The person's own answers are deleted with their account.
"""

from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, func, literal, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from portal.domain import clock
from portal.extensions import db
from portal.models import ApiKey, Customer, IdempotencyKey, Membership, Merchant, Plan
from portal.services.idempotency import RETENTION

WORDS: Final = {"reason", "reference"}
"""Fields with texts that people typed. They are null once the text is erased."""
_FIELDS: Final = IdempotencyKey.result["fields"]
_DRAFT: Final = literal_column("'{fields,draft}'::text[]", ARRAY(Text))


def blank(user_id: int, placeholder: str) -> None:
    """Inside a unit of work: replace the person's email, and drop what was typed about their plans, in the answers to
    businesses that have made a plan for them.
    """
    businesses = select(Customer.merchant_id).where(Customer.user_id == user_id)  # also of plans that went elsewhere
    query = select(IdempotencyKey).where(_is_of(businesses), _is_about(user_id)).with_for_update()
    for row in db.session.scalars(query.execution_options(populate_existing=True)):
        stored = row.result or {}
        fields = _without_words(stored["fields"])
        if fields.get("plan", {}).get("customer_id") == user_id:
            fields["plan"]["customer_email"] = placeholder
        row.result = stored | {"fields": fields}
    db.session.flush()


def blank_drafts(email_key: str, placeholder: str) -> None:
    """Inside a unit of work: drop email, description and metadata from the answers with drafts for this email, to
    businesses that waited for approval in the last 24 hours.
    """
    draft = _FIELDS["draft"]
    businesses = select(Merchant.id).where(
        or_(Merchant.approved_at.is_(None), Merchant.approved_at > clock.now() - RETENTION)
    )
    theirs = func.lower(draft["customer_email"].astext.collate("C")) == email_key
    erased = literal({"customer_email": placeholder, "description": "", "external_id": None, "notes": {}}, JSONB)
    changed = func.jsonb_set(IdempotencyKey.result, _DRAFT, draft.op("||", return_type=JSONB())(erased))
    changes = update(IdempotencyKey).where(_is_of(businesses), theirs).values(result=changed)
    db.session.execute(changes.execution_options(synchronize_session=False))


def _is_of(businesses: Select[int]) -> ColumnElement[bool]:
    """SQL: a member of these businesses, or a maker of their API keys, has the answer."""
    callers = select(Membership.user_id).where(Membership.merchant_id.in_(businesses))
    makers = select(ApiKey.created_by).where(ApiKey.merchant_id.in_(businesses))
    return or_(IdempotencyKey.user_id.in_(callers), IdempotencyKey.user_id.in_(makers))


def _is_about(user_id: int) -> ColumnElement[bool]:
    """SQL: the answer has a plan of this person, or something of a plan of theirs."""
    plan_ids = select(cast(Plan.id, Text)).where(Plan.customer_id == user_id)
    places = _FIELDS["plan"]["id"], _FIELDS["payment"]["plan_id"], _FIELDS["proposal"]["plan_id"]
    of_plans = (place.astext.in_(plan_ids) for place in (*places, _FIELDS["refunds"][0]["plan_id"]))
    return or_(_FIELDS["plan"]["customer_id"].astext == str(user_id), *of_plans)


def _without_words(value: Any) -> Any:
    """The same JSON without the texts of WORDS, at any depth but in metadata, which the business keeps."""
    if isinstance(value, list):
        return [_without_words(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: each if name == "notes" else _without_words(each) for name, each in value.items()}
    return kept | {name: None for name in WORDS & kept.keys() if kept[name]}
