"""Imports about one email: the words of businesses about a person, drafts of plans, and files that wait."""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import idna
from flask import current_app
from sqlalchemy import ColumnElement, delete, func, literal, or_, select

from portal.domain.tokens import derive
from portal.extensions import db
from portal.models import Contact, Import, PlanDraft
from portal.services.privacy import stored_answers

_UNICODE: Final = "pg_c_utf8"
"""A collation that knows the case of every script."""


def forget(email_key: str, placeholder: str) -> None:
    """Inside a unit of work: delete what businesses imported about this email. Stored answers get the placeholder."""
    stored_answers.blank_drafts(email_key, placeholder)
    db.session.execute(delete(PlanDraft).where(_key_of_draft() == email_key))
    db.session.execute(delete(Contact).where(Contact.email_key == email_key))
    local, _, domain = email_key.rpartition("@")
    spellings = {email_key}
    with suppress(idna.IDNAError):
        spellings.add(f"{local}@{idna.encode(domain, uts46=True).decode()}")
    text = func.lower(Import.content.collate(_UNICODE))
    holds = or_(*(func.strpos(text, func.lower(literal(one).collate(_UNICODE))) > 0 for one in sorted(spellings)))
    db.session.execute(delete(Import).where(Import.content.is_not(None), holds))


def hash_of(email_key: str) -> bytes:
    """The HMAC of an email under SECRET_KEY, by which the list of erasures names it."""
    return _hash(current_app.config["QIST"].secret_keys[0], email_key)


def keys_of(email_hash: bytes) -> Sequence[str]:
    """The imported email with this hash under any of the secret keys; empty if nothing was imported about it."""
    drafts = select(_key_of_draft()).distinct()
    keys = db.session.scalars(select(Contact.email_key).distinct().union(drafts)).all()
    secrets: tuple[str, ...] = current_app.config["QIST"].secret_keys
    return [key for key in keys if any(hmac.compare_digest(_hash(one, key), email_hash) for one in secrets)]


def _key_of_draft() -> ColumnElement[str]:
    return func.lower(PlanDraft.customer_email.collate("C"))


def _hash(secret: str, email_key: str) -> bytes:
    return hmac.digest(derive(secret, "qist erasures v1"), email_key.encode(), "sha256")
