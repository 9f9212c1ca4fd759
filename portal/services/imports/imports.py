"""Imports of plans and customers from a file: upload, matching of the columns, carrying out, discarding.

An import of plans writes drafts. No plan, account, link or mail exists for them until they are sent (sending.py).
"""

import re
from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock, typed_text
from portal.domain.events import CustomerUpdated
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Contact, Customer, Import, Merchant, Plan, PlanDraft
from portal.models.plans.imports import IMPORT_KINDS, KEPT_FOR, ImportKind
from portal.services import events, idempotency
from portal.services.accounts import hats
from portal.services.imports import cells, checking, files, matching
from portal.services.imports.cells import Line
from portal.services.imports.checking import Checked
from portal.services.imports.files import Sheet
from portal.services.imports.matching import Matching
from portal.services.plans.pairs import CustomerWord
from portal.services.unit_of_work import unit_of_work

MAX_WAITING: Final = 5
"""Files of one person and business that wait; a further one replaces the oldest."""
MAX_DRAFTS: Final = 20_000
"""Imported drafts of one business."""
WORDS: Final[tuple[CustomerWord, ...]] = ("name", "phone", "note")


@unit_of_work
def upload(actor: Actor, *, kind: str, file_name: str, content: bytes) -> int:
    """Keep a file for KEPT_FOR, with a guess which column holds which field. Returns the import's id.

    Refuses: forbidden; Invalid on kind (bad_choice) and on file, as files.read_text and files.read_sheet; busy.
    """
    merchant_id = actor.business("create_plans")
    known: ImportKind | None = next((name for name in IMPORT_KINDS if name == kind), None)
    if known is None:
        raise Invalid(Fault("kind", "bad_choice"))
    text = files.read_text(content)
    sheet = files.read_sheet(text)
    hats.confirm(actor, "create_plans")
    waiting = select(Import.id).where(Import.merchant_id == merchant_id, Import.created_by == actor.user_id)
    oldest = waiting.where(Import.carried_out_at.is_(None)).order_by(Import.id.desc()).offset(MAX_WAITING - 1)
    db.session.execute(delete(Import).where(Import.id.in_(oldest)))
    row = Import(
        merchant_id=merchant_id,
        created_by=actor.user_id,
        kind=known,
        file_name=_base_name(file_name),
        content=text,
        matching=matching.guess(sheet, known).as_json(),
        num_rows=len(sheet.rows),
        created_at=clock.now(),
    )
    db.session.add(row)
    db.session.flush()
    return row.id


@unit_of_work
def match(import_id: int, chosen: Matching, *, actor: Actor) -> None:
    """Store which column holds which field. Refuses: forbidden; not_found; import_carried_out; Invalid, as
    matching.faults; busy.
    """
    row = _lock_waiting(import_id, actor)
    if faults := matching.faults(chosen, row.kind, len(sheet_of(row).names)):
        raise Invalid(*faults)
    row.matching = chosen.as_json()


def sheet_of(row: Import) -> Sheet:
    """The columns and rows of an import that waits."""
    return files.read_sheet(row.content or "")


def dry_run(row: Import, actor: Actor, merchant: Merchant) -> Checked:
    """The dry run of this import, as carrying it out would find things now. Writes nothing."""
    chosen = matching.of_json(row.matching)
    return checking.check(sheet_of(row), chosen, row.kind, actor, merchant, clock.today(merchant.time_zone))


def digest(row: Import) -> str:
    """A digest of the file's id and its matching (64 hex digits): the person carries out what the page showed."""
    return idempotency.fingerprint(row.id, sorted(row.matching.items()))


@unit_of_work
def carry_out(import_id: int, *, actor: Actor, shown: str) -> None:
    """Carry out the import once, all of it or nothing: drafts of its plans, or the words about its customers.

    `shown` is the `digest` of the dry run that the person saw. An import that was carried out changes nothing again.
    Refuses: forbidden; not_found; import_changed (another matching was chosen since); import_faulty (the dry run finds
    faults, `limit`: how many); too_many_drafts (MAX_DRAFTS); busy.
    """
    merchant_id = actor.business("create_plans")
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"imports:{merchant_id}", 0))))
    row = _lock(import_id, actor)
    if row.carried_out_at is not None:
        return
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"read": True}, populate_existing=True)
    if shown != digest(row):
        raise Refused("import_changed")
    checked = dry_run(row, actor, merchant)
    if checked.num_faults:
        raise Refused("import_faulty", limit=checked.num_faults)
    if row.kind == "plans":
        _write_drafts(row, checked.lines, actor, merchant)
    else:
        _write_words(checked, merchant_id, actor)
    _write_contacts(row, [line for line in checked.lines if line.email_key not in checked.known])
    row.content, row.carried_out_at, row.num_known = None, clock.now(), len(checked.known)


@unit_of_work
def discard(import_id: int, *, actor: Actor) -> int:
    """Delete the drafts of an import that are no plans yet, and what it says about people without a plan.

    Plans that were made stay. A file that waits is deleted. Returns the number of drafts. Refuses: forbidden;
    not_found; busy.
    """
    row = _lock(import_id, actor)
    if row.carried_out_at is None:
        db.session.delete(row)
        return 0
    gone = db.session.execute(delete(PlanDraft).where(PlanDraft.import_id == row.id).returning(PlanDraft.id))
    db.session.execute(delete(Contact).where(Contact.import_id == row.id))
    row.discarded_at = row.discarded_at or clock.now()
    return len(gone.all())


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` files that nobody imported within KEPT_FOR. Returns how many."""
    old = select(Import.id).where(Import.content.is_not(None), Import.created_at < clock.now() - KEPT_FOR)
    deleted = db.session.execute(delete(Import).where(Import.id.in_(old.limit(limit))).returning(Import.id))
    return len(deleted.all())


def _lock(import_id: int, actor: Actor) -> Import:
    merchant_id = actor.business("create_plans")
    query = select(Import).where(Import.id == import_id, Import.visible_to(merchant_id, actor.user_id))
    row = db.session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound()
    hats.confirm(actor, "create_plans")
    return row


def _lock_waiting(import_id: int, actor: Actor) -> Import:
    row = _lock(import_id, actor)
    if row.carried_out_at is not None:
        raise Refused("import_carried_out")
    return row


def _write_drafts(row: Import, lines: Sequence[Line], actor: Actor, merchant: Merchant) -> None:
    mine = select(func.count()).select_from(PlanDraft)
    count = db.session.scalar(mine.where(PlanDraft.merchant_id == merchant.id, PlanDraft.import_id.is_not(None))) or 0
    if count + len(lines) > MAX_DRAFTS:
        raise Refused("too_many_drafts", limit=MAX_DRAFTS)
    now = clock.now()
    drafts = [
        {
            "merchant_id": merchant.id,
            "created_by": actor.user_id,
            "customer_email": plan.customer_email,
            "description": typed_text.read(plan.description),
            "total": plan.total,
            "currency": merchant.home_currency,
            "num_installments": plan.num_installments,
            "interval": plan.interval,
            "start_date": plan.start_date,
            "deposit": plan.deposit,
            "external_id": typed_text.read(plan.external_id) if plan.external_id else None,
            "import_id": row.id,
            "line": line.number,
            "created_at": now,
        }
        for line in lines
        if (plan := line.plan) is not None
    ]
    db.session.execute(insert(PlanDraft), drafts)


def _write_words(checked: Checked, merchant_id: int, actor: Actor) -> None:
    """Give the customers of the business the words of the file. A cell without a word leaves the word as it is."""
    said = {checked.known[line.email_key]: line for line in checked.lines if line.email_key in checked.known}
    mine = Customer.merchant_id == merchant_id, Customer.user_id.in_(said)
    pairs = select(Customer).where(*mine).order_by(Customer.user_id).with_for_update()
    changed: dict[int, tuple[CustomerWord, ...]] = {}
    for pair in db.session.scalars(pairs.execution_options(populate_existing=True)):
        words = {name: word for name, word in cells.stored_words(said[pair.user_id].words).items() if word}
        names = tuple(name for name in WORDS if name in words and getattr(pair, name) != words[name])
        for name in names:
            setattr(pair, name, words[name])
        if names:
            changed[pair.user_id] = names
    newest = select(Plan.customer_id, func.max(Plan.id)).where(Plan.merchant_id == merchant_id)
    plans = db.session.execute(newest.where(Plan.customer_id.in_(changed)).group_by(Plan.customer_id))
    events.record_all(
        ((plan_id, CustomerUpdated(customer_id=user_id, fields=changed[user_id])) for user_id, plan_id in plans),
        by=actor.user_id,
    )


def _write_contacts(row: Import, lines: Sequence[Line]) -> None:
    """Keep what the file says about people who are no customers of the business yet. Later words replace earlier."""
    contacts: dict[str, dict[str, object]] = {}
    for line in lines:
        words = {name: word for name, word in cells.stored_words(line.words).items() if word}
        if not words and row.kind == "plans":
            continue
        contact = contacts.setdefault(line.email_key, dict.fromkeys(WORDS) | {"email": line.email})
        contact.update(words)
    if not contacts:
        return
    fixed = {"merchant_id": row.merchant_id, "import_id": row.id, "created_at": clock.now()}
    new = insert(Contact)
    latest = {name: func.coalesce(new.excluded[name], Contact.__table__.c[name]) for name in WORDS}
    db.session.execute(
        new.on_conflict_do_update(index_elements=["merchant_id", "email_key"], set_=latest),
        [contact | fixed | {"email_key": key} for key, contact in sorted(contacts.items())],
    )


def _base_name(typed: str) -> str:
    """The name of the file without its folders and without characters that a text may not hold."""
    name = re.sub(f"[{typed_text.REFUSED}]", "", re.split(r"[/\\]", typed)[-1])
    try:
        return typed_text.read(name[: typed_text.MAX_LENGTH]) or "file.csv"
    except typed_text.BadText:
        return "file.csv"
