"""Every route, for an account whose email is not proven. The table is in unproven_statuses.py."""

from flask import Flask

from portal.services.accounts import accounts, tokens
from portal.services.accounts.accounts import NewAccount
from tests.fixtures import people
from tests.fixtures.proofs import confirming
from tests.matrix.test_matrix import EXPECTED, World, request_status, world  # noqa: F401 (a fixture)
from tests.matrix.unproven_statuses import LAST, OPEN
from tests.web import browser_of


def test_an_unproven_account_gets_403_but_for_the_routes_of_the_table(app: Flask, world: World) -> None:  # noqa: F811
    with app.app_context(), confirming(app):
        lina = accounts.register(NewAccount("customer", "lina", "lina@example.com", people.PASSWORD))
        world.bearers["unproven"] = tokens.start(lina).access
        world.bearers["leaves"] = tokens.start(
            accounts.register(NewAccount("merchant", "rima", "rima@example.com", people.PASSWORD, "Shop"))
        ).access
    world.browsers["unproven"] = browser_of(app, "lina")
    wrong = {}
    for route in sorted(EXPECTED, key=lambda route: LAST.index(route) if route in LAST else -1):
        caller = "leaves" if route in LAST[:2] else "unproven"
        status = request_status(app, world, route, caller, world.objects["amal"])
        if status != OPEN.get(route, 403):
            wrong[route] = status
    assert wrong == {}
    assert set(OPEN) <= set(EXPECTED)
