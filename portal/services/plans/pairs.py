"""The pair of a business and a person: acceptance, blocks, and the business's own words about the person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import select, text

from portal.domain import clock, identifiers, typed_text
from portal.domain.events import CustomerUpdated
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, NotFound
from portal.extensions import db
from portal.models import Customer, Plan
from portal.services import events
from portal.services.accounts import hats
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

CustomerWord = Literal["name", "phone", "note"]
_COLUMNS: Final = [column for column in Customer.__table__.columns if column.name != "grams"]
_NAMES: Final = ", ".join(column.name for column in _COLUMNS)
_LOCK: Final = text(
    f"""WITH contact AS (
           DELETE FROM contacts WHERE merchant_id = :merchant
           AND email_key = (SELECT email_key FROM users WHERE id = :user)
           RETURNING name, phone, note),
       known AS (SELECT {_NAMES} FROM customers WHERE merchant_id = :merchant AND user_id = :user FOR NO KEY UPDATE),
       added AS (
           INSERT INTO customers (merchant_id, user_id, created_at, name, phone, note)
           SELECT :merchant, :user, :now, contact.name, contact.phone, contact.note
           FROM (SELECT) AS pair LEFT JOIN contact ON true
           WHERE NOT EXISTS (SELECT FROM known)
           ON CONFLICT (merchant_id, user_id) DO UPDATE SET created_at = customers.created_at
           RETURNING {_NAMES})
       SELECT * FROM known UNION ALL SELECT * FROM added"""  # noqa: S608 names of columns
).columns(*_COLUMNS)
"""In one round trip, because every new plan takes it. A row that is there is locked and not written."""
_LOCKED: Final = select(Customer).from_statement(_LOCK).execution_options(populate_existing=True)
NOTE_MAX: Final = 500
"""Code points of a business's note about a customer."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a business about a customer, as typed. None leaves a word as it is, "" removes it."""

    name: str | None = None
    phone: str | None = None
    note: str | None = None


def lock(merchant_id: int, user_id: int) -> Customer:
    """Inside a unit of work: the pair, written if it is new, and locked until the transaction ends.

    A new pair takes over what the business imported about the email.
    """
    values = {"merchant": merchant_id, "user": user_id, "now": clock.now()}
    pair: Customer = db.session.scalars(_LOCKED, values).one()
    return pair


def carry_words(pair: Customer, former_id: int) -> None:
    """Inside a unit of work, after a plan moved from `former_id` to the person of `pair`: give them the words, too.

    The words leave the former person if the business has no other plan for them.
    """
    former = db.session.get(Customer, (pair.merchant_id, former_id), with_for_update=True, populate_existing=True)
    if former is None:
        return
    theirs = Plan.of_merchant(pair.merchant_id).where(Plan.customer_id == former_id).with_only_columns(Plan.id)
    stays = db.session.scalar(theirs.limit(1)) is not None
    for word in ("name", "phone", "note"):
        setattr(pair, word, getattr(pair, word) or getattr(former, word))
        if not stays:
            setattr(former, word, None)


def block(merchant_id: int, *, user_id: int) -> None:
    """The person blocks the business: it makes no plan for them. Existing plans go on. Refuses: not_found."""
    _block(merchant_id, user_id, clock.now())


def allow(merchant_id: int, *, user_id: int) -> None:
    """The person allows the business to make plans for them again, after a block or a dispute. Refuses: not_found."""
    _block(merchant_id, user_id, None)


@unit_of_work
def _block(merchant_id: int, user_id: int, since: datetime | None) -> None:
    pair = db.session.get(Customer, (merchant_id, user_id), with_for_update=True, populate_existing=True)
    if pair is None:
        raise NotFound()
    pair.blocked_at = (pair.blocked_at or since) if since is not None else None
    if since is None:
        pair.barred_at = None


@unit_of_work
def describe(customer_id: int, words: Words, *, actor: Actor) -> None:
    """Change the business's own name, phone and note of a customer. A change is an event of their newest plan.

    Refuses: forbidden; own_plan; not_found (no plan between them); Invalid, with all faults at once, on name
    (also too_long: over 200 code points), phone (bad_phone) and note (also too_long: over NOTE_MAX code points).
    """
    merchant_id = actor.business("note")
    newest = Plan.of_merchant(merchant_id).where(Plan.customer_id == customer_id).with_only_columns(Plan.id)
    plan_id = db.session.scalar(newest.order_by(Plan.id.desc()).limit(1))
    if plan_id is None:
        raise NotFound()
    actor.act_on(merchant_id, customer_id)
    hats.confirm(actor, "note")
    stored = read(words)
    pair = lock(merchant_id, customer_id)
    changed = tuple(name for name, word in stored.items() if getattr(pair, name) != word)
    for name in changed:
        setattr(pair, name, stored[name])
    if changed:
        events.record(CustomerUpdated(customer_id=customer_id, fields=changed), plan_id=plan_id, by=actor.user_id)


def word_faults(words: Words) -> list[Fault]:
    """The faults of a business's words about a customer."""
    faults = text_faults("name", words.name or "")
    if (words.phone or "").strip() and identifiers.phone(words.phone or "") is None:
        faults.append(Fault("phone", "bad_phone"))
    return faults + text_faults("note", words.note or "", limit=NOTE_MAX)


def read(words: Words) -> dict[CustomerWord, str | None]:
    """The words that are given, as they are stored. Refuses: Invalid, as `describe`."""
    if faults := word_faults(words):
        raise Invalid(*faults)
    stored: dict[CustomerWord, str | None] = {}
    if words.name is not None:
        stored["name"] = typed_text.read(words.name) or None
    if words.phone is not None:
        stored["phone"] = identifiers.phone(words.phone)
    if words.note is not None:
        stored["note"] = typed_text.read(words.note, NOTE_MAX) or None
    return stored
