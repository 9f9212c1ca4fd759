"""The dry run of a file: all its faults by line and column, its sums, and what it says about known people."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, String, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from portal.domain import identifiers
from portal.domain.permissions import Actor
from portal.errors import Fault
from portal.extensions import db
from portal.models import Customer, Membership, Merchant, Plan, PlanDraft, User
from portal.models.plans.imports import ImportKind
from portal.services.imports import cells
from portal.services.imports.cells import Line
from portal.services.imports.files import Sheet
from portal.services.imports.matching import Matching

MAX_FAULTS: Final = 200
"""Faults that are kept with their lines. All are counted."""


@dataclass(frozen=True, slots=True)
class LineFault:
    """A fault of a line of the file. `column` counts from 0; None for a fault of the whole line."""

    line: int
    column: int | None
    fault: Fault


@dataclass(slots=True)
class Checked:
    """The dry run. `faults` are the first MAX_FAULTS in the order of lines, and `num_faults` are all.

    `total` is in minor units of the home currency, of the lines without faults in its amount. `people` are the
    different emails, `known` those of customers of the business, as user ids by email key. `repeated` are the numbers
    of the lines whose plan has customer, total and first day of an earlier line, of a plan or of a draft of the
    business, and no number of its own. They are no faults: a customer may buy the same twice.
    """

    lines: list[Line] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)
    num_faults: int = 0
    num_wrong_lines: int = 0
    total: int = 0
    people: set[str] = field(default_factory=set)
    known: dict[str, int] = field(default_factory=dict)
    repeated: list[int] = field(default_factory=list)


def check(sheet: Sheet, matching: Matching, kind: ImportKind, actor: Actor, merchant: Merchant, today: date) -> Checked:
    """Read every line and compare the file with the business's plans, drafts and customers. Writes nothing.

    `today` is the merchant's local date. The number of statements does not depend on the file. Faults beside those of
    a plan and of a customer's words: duplicate (`line`: the first one) on external_id, in a file of customers on
    customer_email; external_id_used, external_id_drafted; not_a_customer (an owner); blocked; own_words (the actor).
    """
    checked = Checked()
    read = [cells.read_line(sheet, row, matching, merchant, today, has_plan=kind == "plans") for row in sheet.rows]
    found = [faults for _, faults in read]
    checked.lines = [line for line, _ in read]
    checked.people = {line.email_key for line in checked.lines if line.email_key}
    _add_duplicates(checked.lines, found, kind)
    if kind == "plans":
        _add_used_numbers(checked.lines, found, merchant.id)
    _add_people(checked, found, kind, actor, merchant.id)
    _collect(checked, found, matching)
    checked.repeated = _repeated_lines(checked, merchant.id)
    return checked


def _add_duplicates(lines: Sequence[Line], found: list[list[Fault]], kind: ImportKind) -> None:
    name = "external_id" if kind == "plans" else "customer_email"
    first: dict[str, int] = {}
    for line, faults in zip(lines, found, strict=True):
        value = line.plan.external_id if line.plan is not None else line.email_key
        if not value:
            continue
        if value in first:
            faults.append(Fault(name, "duplicate", line=first[value]))
        first.setdefault(value, line.number)


def _add_used_numbers(lines: Sequence[Line], found: list[list[Fault]], merchant_id: int) -> None:
    numbers = {line.plan.external_id for line in lines if line.plan is not None and line.plan.external_id}
    in_plans = select(Plan.external_id).where(Plan.merchant_id == merchant_id, _is_one_of(Plan.external_id, numbers))
    plans = set(db.session.scalars(in_plans))
    in_drafts = select(PlanDraft.external_id).where(PlanDraft.merchant_id == merchant_id)
    drafts = set(db.session.scalars(in_drafts.where(_is_one_of(PlanDraft.external_id, numbers))))
    for line, faults in zip(lines, found, strict=True):
        number = line.plan.external_id if line.plan is not None else None
        if number in plans:
            faults.append(Fault("external_id", "external_id_used"))
        elif number in drafts:
            faults.append(Fault("external_id", "external_id_drafted"))


def _repeated_lines(checked: Checked, merchant_id: int) -> list[int]:
    """The lines of `Checked.repeated`."""
    plans = [(line, line.plan) for line in checked.lines if line.plan is not None and line.plan.external_id is None]
    if not plans:
        return []
    days = {plan.start_date for _, plan in plans}
    drafts = select(PlanDraft.customer_email, PlanDraft.total, PlanDraft.start_date)
    drafts = drafts.where(PlanDraft.merchant_id == merchant_id, PlanDraft.start_date.in_(days))
    seen = {(identifiers.stored_email_key(email), total, day) for email, total, day in db.session.execute(drafts)}
    keys = {user_id: key for key, user_id in checked.known.items()}
    made = select(Plan.customer_id, Plan.total, Plan.start_date)
    made = made.where(Plan.merchant_id == merchant_id, Plan.customer_id.in_(keys), Plan.start_date.in_(days))
    seen |= {(keys[user_id], total, day) for user_id, total, day in db.session.execute(made)}
    repeated = []
    for line, plan in plans:
        fact = line.email_key, plan.total, plan.start_date
        if line.email_key and fact in seen:
            repeated.append(line.number)
        seen.add(fact)
    return repeated


def _is_one_of(column: InstrumentedAttribute[Any], values: Collection[str]) -> ColumnElement[bool]:
    """One parameter, whatever the number of values."""
    return column == any_(literal(list(values), ARRAY(String)))


def _add_people(checked: Checked, found: list[list[Fault]], kind: ImportKind, actor: Actor, merchant_id: int) -> None:
    """The customers of the business in the file, its owners, and those who take no plan from it."""
    mine = select(User.email_key, User.id, Customer.blocked_at, Customer.barred_at)
    mine = mine.join(Customer, (Customer.user_id == User.id) & (Customer.merchant_id == merchant_id))
    closed: set[str] = set()
    for key, user_id, blocked_at, barred_at in db.session.execute(
        mine.where(_is_one_of(User.email_key, checked.people))
    ):
        checked.known[key] = user_id
        if blocked_at is not None or barred_at is not None:
            closed.add(key)
    owners = select(User.email_key).join(Membership, Membership.user_id == User.id)
    owners = owners.where(Membership.merchant_id == merchant_id, Membership.role == "owner")
    owner_keys = set(db.session.scalars(owners))
    for line, faults in zip(checked.lines, found, strict=True):
        if line.email_key in owner_keys:
            faults.append(Fault("customer_email", "not_a_customer"))
        elif kind == "plans" and line.email_key in closed:
            faults.append(Fault("customer_email", "blocked"))
        elif kind == "customers" and checked.known.get(line.email_key) == actor.user_id:
            faults.append(Fault("customer_email", "own_words"))


def _collect(checked: Checked, found: list[list[Fault]], matching: Matching) -> None:
    """Keep the first fault of each field of a line."""
    for line, all_faults in zip(checked.lines, found, strict=True):
        faults = list({fault.field: fault for fault in reversed(all_faults)}.values())
        checked.num_wrong_lines += bool(faults)
        checked.num_faults += len(faults)
        if line.plan is not None and not any(fault.field == "total_amount" for fault in faults):
            checked.total += line.plan.total
        places = {str(name): place for name, place in matching.columns.items()}
        placed = [LineFault(line.number, places.get(fault.field), fault) for fault in faults]
        placed.sort(key=lambda found: -1 if found.column is None else found.column)
        checked.faults += placed[: MAX_FAULTS - len(checked.faults)]
