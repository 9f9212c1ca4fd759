"""GET /api/journal/: the lines of a business's books, in the order of the entries' numbers."""

from decimal import Decimal
from typing import Any

from tests.api import Api, Person, create_plan

ANOTHER_DAY = "from=2001-01-01&to=2001-01-02"


def lines_of(api: Api, query: str = "") -> list[dict[str, Any]]:
    """The lines of all pages."""
    found: list[dict[str, Any]] = []
    address = f"/api/journal/?limit=3{query}"
    while address:
        answer = api.get(address)
        assert answer.status_code == 200, answer.text
        found += answer.json()
        link = answer.headers.get("Link", "")
        address = link[link.index("/api/") : link.index(">")] if link else ""
    return found


def test_the_lines_are_paged_and_sum_to_zero(api: Api, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email, start_date="2026-01-31")
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/")
    assert paid.status_code == 200
    lines = lines_of(amal.api)
    assert [line["number"] for line in lines] == [1, 1, 2, 2]
    total = sum(Decimal(line["debit"] or "0") - Decimal(line["credit"] or "0") for line in lines)
    assert total == 0
    payment = next(line for line in lines if line["account"] == "clearing")
    assert (payment["kind"], payment["method"], payment["plan"]) == ("payment", "card", plan["id"])
    assert payment["gateway_reference"] and payment["payment"] == paid.json()["payment"]["id"]
    assert lines_of(amal.api, "&account=clearing") == [payment]
    assert lines_of(amal.api, f"&{ANOTHER_DAY}") == []
    today = payment["booked_on"]
    assert len(lines_of(amal.api, f"&from={today}&to={today}")) == 4


def test_a_customer_has_no_journal(api: Api, omar: Person) -> None:
    answer = omar.api.get("/api/journal/")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_bad_parameters_are_refused(api: Api, amal: Person) -> None:
    for query in ("from=soon", "account=wallet", "cursor=x", "from_=2026-01-01"):
        assert amal.api.get(f"/api/journal/?{query}").status_code == 422, query
