"""Imports of a business: the list, how far each is, and the drafts and contacts of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import joinedload

from portal.domain import identifiers
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Contact, Customer, Import, Plan, PlanDraft, User
from portal.reports import paging, tallies
from portal.reports import search as finding
from portal.reports.paging import Page
from portal.reports.tallies import Count

DraftState = Literal["unsent", "queued", "tomorrow", "refused"]
DRAFT_STATES: Final[tuple[DraftState, ...]] = get_args(DraftState)
"""unsent: nobody pressed "Send" for it. queued: the job makes a plan of it. tomorrow: it waits for the daily bounds.
refused: it could not become a plan, and is tried again every hour."""
_OF_A_DAY: Final = ("plan_limit", "mail_limit")

_STATES: Final[dict[str, ColumnElement[bool]]] = {
    "unsent": PlanDraft.sent_at.is_(None),
    "queued": and_(PlanDraft.sent_at.is_not(None), PlanDraft.fault.is_(None)),
    "tomorrow": and_(PlanDraft.sent_at.is_not(None), PlanDraft.fault.in_(_OF_A_DAY)),
    "refused": and_(PlanDraft.sent_at.is_not(None), PlanDraft.fault.not_in(_OF_A_DAY)),
}


@dataclass(slots=True)
class Progress:
    """The plans of an import: drafts by their state, and those that are plans (`made`). `total`: minor units of the
    drafts that were not sent. `contacts`: people of the file without a plan.
    """

    unsent: int = 0
    queued: int = 0
    tomorrow: int = 0
    refused: int = 0
    made: int = 0
    total: int = 0
    contacts: int = 0

    @property
    def drafts(self) -> int:
        return self.unsent + self.queued + self.tomorrow + self.refused


def list_imports(actor: Actor, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None) -> Page[Import]:
    """The imports of the actor's business that they may see, newest first. Refuses: bad_cursor."""
    query = select(Import).where(Import.visible_to(actor.business("create_plans"), actor.user_id))
    return paging.fetch(
        query.options(joinedload(Import.creator)), Import.id, descending=True, limit=limit, cursor=cursor
    )


def progress_of(import_ids: Sequence[int]) -> dict[int, Progress]:
    """How far these imports are, in three statements."""
    progress: dict[int | None, Progress] = {import_id: Progress() for import_id in import_ids}
    unsent, queued, tomorrow, refused = (func.count().filter(_STATES[state]) for state in DRAFT_STATES)
    total = func.coalesce(func.sum(PlanDraft.total).filter(_STATES["unsent"]), 0)
    drafts = select(PlanDraft.import_id, total, unsent, queued, tomorrow, refused).group_by(PlanDraft.import_id)
    for row in db.session.execute(drafts.where(PlanDraft.import_id.in_(import_ids))).all():
        progress[row[0]] = Progress(row[2], row[3], row[4], row[5], total=int(row[1]))
    plans = select(Plan.import_id, func.count()).where(Plan.import_id.in_(import_ids)).group_by(Plan.import_id)
    for import_id, count in db.session.execute(plans).all():
        progress[import_id].made = count
    contacts = select(Contact.import_id, func.count()).where(Contact.import_id.in_(import_ids))
    for import_id, count in db.session.execute(contacts.group_by(Contact.import_id)).all():
        progress[import_id].contacts = count
    return {import_id: progress[import_id] for import_id in import_ids}


def list_drafts(
    import_id: int, state: str | None = None, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[PlanDraft]:
    """The drafts of an import in this state (None: all), in the order of the file. Refuses: bad_cursor."""
    query = select(PlanDraft).where(PlanDraft.import_id == import_id)
    if state:
        query = query.where(_STATES[state])
    return paging.fetch(query, PlanDraft.id, descending=False, limit=limit, cursor=cursor)


def list_contacts(import_id: int, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None) -> Page[Contact]:
    """The people of an import who have no plan of the business, by email. Refuses: bad_cursor."""
    query = select(Contact).where(Contact.import_id == import_id)
    return paging.fetch(query, Contact.email_key, descending=False, limit=limit, cursor=cursor)


def list_people(
    merchant_id: int, search: str | None = None, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Contact]:
    """The people of all imports of a business who have no plan of it, by email. Refuses: bad_cursor."""
    query = people(merchant_id, search)
    return paging.fetch(query, Contact.email_key, descending=False, limit=limit, cursor=cursor)


def count_people(merchant_id: int, search: str | None = None) -> Count:
    """The number of these people."""
    return tallies.count(people(merchant_id, search))


def people(merchant_id: int, search: str | None = None) -> Select[Contact]:
    """The people without a plan whose name, phone or email match, in no order. Without a text all of them."""
    query = select(Contact).where(Contact.merchant_id == merchant_id)
    if search and search.strip():
        query = query.where(finding.contacts(merchant_id, search))
    return query


def names_of(merchant_id: int, drafts: Sequence[PlanDraft]) -> dict[int, str]:
    """The names that the business gave the people of these drafts, by the draft's id."""
    keys = {draft.id: identifiers.stored_email_key(draft.customer_email) for draft in drafts}
    wanted = set(keys.values())
    contacts = select(Contact.email_key, Contact.name).where(Contact.merchant_id == merchant_id)
    customers = select(User.email_key, Customer.name).join(Customer, Customer.user_id == User.id)
    customers = customers.where(Customer.merchant_id == merchant_id, User.email_key.in_(wanted))
    rows = [*db.session.execute(contacts.where(Contact.email_key.in_(wanted))), *db.session.execute(customers)]
    names = {key: name for key, name in rows if name}
    return {draft_id: names[key] for draft_id, key in keys.items() if key in names}
