"""A page of 50 costs as many queries as a page of 2."""

from flask import Flask

from portal.services import tokens
from tests import people
from tests.sql import queries

LISTS = ("/api/plans/", "/api/plans/installments/", "/api/payments/")


def test_no_list_asks_more_often_because_it_is_longer(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        for number in range(12):
            plan_id = people.a_plan(amal, f"omar{number}@example.com" if number % 2 else "omar@example.com", count=4)
            if not number % 2:
                for row in people.installments_of(plan_id)[:2]:
                    people.pay(row.id, omar)
        bearers = [{"Authorization": f"Bearer {tokens.start(user).access}"} for user in (amal, omar)]
    client = app.test_client()
    for headers in bearers:
        for address in LISTS:
            counts = []
            for limit in (2, 12):
                with queries(app) as sent:
                    found = client.get(f"{address}?limit={limit}", headers=headers).get_json()
                assert len(found) > 2 or limit == 2
                counts.append(len(sent))
            assert counts[0] == counts[1] <= 4, (address, counts)
