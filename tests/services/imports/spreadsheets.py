"""Files as shops keep them, and imports of them."""

from collections.abc import Sequence

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Import, Merchant
from portal.services.imports import imports, matching
from portal.services.imports.checking import Checked
from portal.services.imports.matching import Matching

HEADER = "Email,Name,Phone,Total,Installments,First due date,Purchase,Number"


def a_file(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *lines]).encode()


def plans_of(count: int, *, first: int = 0) -> bytes:
    """Plans of SAR 100.00 and more for as many people, each with a number of its own."""
    return a_file(
        *(
            f'buyer-{n}@example.com,Buyer {n},+966 50 {n:07d},"1,{n % 1000:03d}.00",4,2030-01-31,Sofa {n},A-{n}'
            for n in range(first, first + count)
        )
    )


def upload(actor: Actor, content: bytes, kind: str = "plans", name: str = "plans.csv") -> int:
    return imports.upload(actor, kind=kind, file_name=name, content=content)


def row_of(import_id: int) -> Import:
    db.session.rollback()
    return db.session.get_one(Import, import_id, populate_existing=True)


def dry_run(import_id: int, actor: Actor) -> Checked:
    row = row_of(import_id)
    return imports.dry_run(row, actor, db.session.get_one(Merchant, row.merchant_id))


def carry_out(import_id: int, actor: Actor) -> None:
    shown = imports.digest(row_of(import_id))
    db.session.rollback()
    imports.carry_out(import_id, actor=actor, shown=shown)


def imported(actor: Actor, content: bytes, kind: str = "plans") -> int:
    """The id of an import of this file that was carried out."""
    import_id = upload(actor, content, kind)
    carry_out(import_id, actor)
    return import_id


def faults_of(checked: Checked) -> list[tuple[int, int | None, str]]:
    return [(found.line, found.column, found.fault.code) for found in checked.faults]


def matched(import_id: int) -> Matching:
    return matching.of_json(row_of(import_id).matching)


def codes(faults: Sequence[object]) -> list[str]:
    return [str(getattr(fault, "code", "")) for fault in faults]
