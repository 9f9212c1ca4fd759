"""The number of queries does not depend on the length of a page or a plan."""

from flask import Flask

from portal.domain import clock
from portal.services.accounts import tokens
from portal.services.payments import refunds
from tests.fixtures import people
from tests.fixtures.query_log import queries

LISTS = ("/api/plans/", "/api/plans/installments/", "/api/payments/", "/api/refunds/")


def test_longer_pages_cost_no_more_queries(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        for number in range(12):
            plan_id = people.a_plan(amal, f"omar{number}@example.com" if number % 2 else "omar@example.com", count=4)
            if not number % 2:
                for row in people.installments_of(plan_id)[:2]:
                    payment = people.pay(row.id, omar)
                    refunds.refund(plan_id, actor=people.owner(amal), amount=1, reason="Late", payment_id=payment.id)
        bearers = [{"Authorization": f"Bearer {tokens.start(user).access}"} for user in (amal, omar)]
    client = app.test_client()
    for headers in bearers:
        for address in LISTS:
            counts = []
            for limit in (2, 12):
                with queries(app) as sent:
                    rows = client.get(f"{address}?limit={limit}", headers=headers).get_json()
                assert len(rows) > 2 or limit == 2
                counts.append(len(sent))
            assert counts[0] == counts[1] <= 4, (address, counts)


def test_changes_of_longer_plans_cost_at_most_two_more_queries(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plan_ids = [people.a_plan(amal, count=count) for count in (2, 12)]
        headers, paying = ({"Authorization": f"Bearer {tokens.start(user).access}"} for user in (amal, omar))
    client = app.test_client()
    why, today = {"reason": "Late"}, clock.today("Asia/Riyadh").isoformat()
    for action, body, who in (
        ("pay", {"choice": "amount", "amount": "60.00"}, paying),
        (
            "payments",
            {"amount": "1.00", "method": "cash", "received_on": today},
            headers,
        ),
        ("refunds", {"amount": "2.00", **why}, headers),
        ("credits", {"amount": "1.00", **why}, headers),
        ("cancel", why, headers),
    ):
        counts = []
        for plan_id in plan_ids:
            with queries(app) as sent:
                response = client.post(f"/api/plans/{plan_id}/{action}/", json=body, headers=who)
            assert response.status_code in (200, 201), response.text
            counts.append(len(sent))
        assert counts[1] - counts[0] <= 2, (action, counts)
