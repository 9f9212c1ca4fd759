"""Customers see whom to ask: on their plan and on its links."""

import re

from flask import Flask

from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from tests.fixtures import people
from tests.web import browser_of

MEANT = "Questions? Ask Amal's Bakery: "


def seen(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", "", page).replace("&#39;", "'").split())


def test_a_customer_sees_the_contact_of_the_business(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        people.omar(), people.badr()
        mine = people.a_plan(amal)
        theirs = people.a_plan(amal, "new@example.com")
    link = "/invitations/{}"
    omar = browser_of(app, "omar")
    assert "Questions?" not in omar.get(f"/plans/{mine}").text
    with app.app_context():
        words = Words(email="shop@example.com", phone="+966 50 123 4567", address="1 Olaya St\nRiyadh")
        letterheads.change(people.owner(amal), words)
        token = people.token_of(theirs) or ""
    whole = MEANT + "shop@example.com, +966 50 123 4567, 1 Olaya St, Riyadh"
    assert whole in seen(omar.get(f"/plans/{mine}").text)
    assert 'href="tel:+966501234567"' in omar.get(f"/plans/{mine}").text
    assert whole in seen(app.test_client().get(link.format(token)).text)
    assert "Questions?" not in browser_of(app, "amal").get(f"/plans/{mine}").text
