"""Entry numbers: each business numbers its ledger entries from 1, without gaps, after they are committed.

A number given in the booking's own transaction would leave a gap when that one rolls back, or make all payments of a
business wait for one another. The job, every file of the journal and the closing of a period give the numbers.
"""

from typing import Final

from sqlalchemy import select, text

from portal.extensions import db
from portal.models import EntryNumber, LedgerEntry, Merchant
from portal.services import sweeps
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

BATCH: Final = 500
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining businesses to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS
WINDOW: Final = 100_000
"""An entry that is committed late has an id at most this far below the newest one that has a number.

The bound is a value, no expression of the statement, so that PostgreSQL reads a range of ids and no whole table.
"""

_NUMBER: Final = text(
    """
    INSERT INTO entry_numbers (merchant_id, number, entry_id)
    SELECT :merchant, :number + row_number() OVER (ORDER BY entry.id), entry.id
    FROM ledger_entries AS entry
    WHERE entry.merchant_id = :merchant AND entry.id > :after
      AND NOT EXISTS (SELECT FROM entry_numbers WHERE entry_numbers.entry_id = entry.id)
    """
)


@unit_of_work
def number_entries(merchant_id: int) -> None:
    """Give every entry of this business that has none its number, in the order of their ids. Refuses: busy."""
    number(merchant_id)


def number(merchant_id: int) -> None:
    """The same, inside a unit of work. The lock on the business makes two runs wait for one another."""
    db.session.scalar(select(Merchant.id).where(Merchant.id == merchant_id).with_for_update(key_share=True))
    newest = select(EntryNumber.number, EntryNumber.entry_id).where(EntryNumber.merchant_id == merchant_id)
    last = db.session.execute(newest.order_by(EntryNumber.number.desc()).limit(1)).one_or_none()
    number, entry_id = last or (0, 0)
    db.session.execute(_NUMBER, {"merchant": merchant_id, "number": number, "after": entry_id - WINDOW})


def number_all() -> int:
    """Number the entries of all businesses: at most BATCH of them. Returns how many had entries without a number."""
    newest = db.session.scalar(select(EntryNumber.entry_id).order_by(EntryNumber.entry_id.desc()).limit(1)) or 0
    has_number = select(EntryNumber.entry_id).where(EntryNumber.entry_id == LedgerEntry.id).exists()
    query = select(LedgerEntry.merchant_id).distinct().where(LedgerEntry.id > newest - WINDOW, ~has_number)
    ids = list(db.session.scalars(query.limit(BATCH)))
    return sweeps.sweep(ids, number_entries, budget=BUDGET, event="entries.not_numbered", field="merchant_id")
