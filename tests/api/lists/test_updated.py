"""The last change of payments and refunds: in answers, and as a range of their lists."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.api import Person, create_plan

Rows = dict[str, Any]


def _paid(amal: Person, omar: Person) -> Rows:
    plan = create_plan(amal, omar.email)
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/").json()
    payment: Rows = omar.api.get(f"/api/payments/{paid['payment']['id']}/").json()
    return payment


def _recorded(amal: Person, omar: Person) -> Rows:
    plan = create_plan(amal, omar.email)
    body = {"amount": "5.00", "method": "cash", "received_on": plan["created_at"][:10]}
    payment: Rows = amal.api.post(f"/api/plans/{plan['id']}/payments/", body).json()
    return payment


def _refund(amal: Person, payment: Rows) -> Rows:
    body = {"amount": "1.00", "reason": "A layer was missing"}
    refund: Rows = amal.api.post(f"/api/plans/{payment['plan']}/refunds/", body).json()["refunds"][0]
    return refund


def _describe(amal: Person, payment: Rows) -> None:
    amal.api.call("PATCH", f"/api/payments/{payment['id']}/", {"metadata": {"a": "b"}})


def _void(amal: Person, payment: Rows) -> None:
    amal.api.post(f"/api/payments/{payment['id']}/void/", {"reason": "Twice"})


def _listed(person: Person, address: str, row: Rows) -> bool:
    """Whether the list has the row just after its instant before, and not at its own: bounds are exclusive."""
    at = datetime.fromisoformat(row["updated_at"])
    ranges = {
        "updated_after": at - timedelta(microseconds=1),
        "updated_before": at + timedelta(microseconds=1),
    }
    for name in ranges:
        outside = person.api.get(f"{address}?{name}={quote(row['updated_at'])}").json()
        if row["id"] in [other["id"] for other in outside]:
            return False
    query = "&".join(f"{name}={quote(bound.isoformat())}" for name, bound in ranges.items())
    return [other["id"] for other in person.api.get(f"{address}?{query}").json()] == [row["id"]]


@pytest.mark.parametrize(
    ("make", "act"),
    [(_paid, _refund), (_paid, _describe), (_recorded, _refund), (_recorded, _void)],
    ids=["refunded", "other metadata", "cash given back", "voided"],
)
def test_each_change_of_a_payment_moves_its_instant(
    amal: Person, omar: Person, make: Callable[[Person, Person], Rows], act: Callable[[Person, Rows], Any]
) -> None:
    before = make(amal, omar)
    address = f"/api/payments/{before['id']}/"
    assert before == amal.api.get(address).json() and before["updated_at"] == before["settled_at"]
    assert _listed(amal, "/api/payments/", before)
    act(amal, before)
    after = amal.api.get(address).json()
    assert datetime.fromisoformat(after["updated_at"]) > datetime.fromisoformat(before["updated_at"])
    assert _listed(amal, "/api/payments/", after) and _listed(omar, "/api/payments/", after)


def test_each_change_of_a_refund_moves_its_instant(amal: Person, omar: Person) -> None:
    for make in (_paid, _recorded):
        refund = _refund(amal, make(amal, omar))
        address = f"/api/refunds/{refund['id']}/"
        assert refund == amal.api.get(address).json()
        assert _listed(amal, "/api/refunds/", refund) and _listed(omar, "/api/refunds/", refund)
        changed = amal.api.call("PATCH", address, {"metadata": {"desk": "3"}}).json()
        assert changed == amal.api.get(address).json()
        assert datetime.fromisoformat(changed["updated_at"]) > datetime.fromisoformat(refund["updated_at"])
        assert not _listed(amal, "/api/refunds/", refund) and _listed(amal, "/api/refunds/", changed)
