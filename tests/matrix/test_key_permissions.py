"""Every endpoint of the API, requested by API keys with one permission each, and by one without a permission.

The permission that a key needs is in key_permissions.py. A key without it gets 403. One with it gets the endpoint's
answer, whatever that is, and never 401 or 403.
"""

from flask import Flask

from portal.domain.permissions import GIVEN_TO_KEYS
from portal.services.accounts import api_keys
from tests.fixtures import people
from tests.matrix.key_permissions import KEYS, NEVER, OPEN, READ
from tests.matrix.statuses import API
from tests.matrix.test_matrix import World, objects_of, request_status

EVERYBODY = ("POST /auth/email/prove/", "POST /auth/email/correct/", "POST /api/auth/email/prove/",
             "POST /api/auth/email/correct/")  # fmt: skip
"""Open to every token, also of accounts that are not proven; a key's maker is proven, so the body is refused."""


def test_every_endpoint_has_a_row() -> None:
    assert set(KEYS) | set(EVERYBODY) == set(API)
    assert set(KEYS.values()) == {READ, NEVER, OPEN, *GIVEN_TO_KEYS}


def test_a_key_may_exactly_what_its_permission_says(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        api_keys.create(people.owner(amal), name="Shop")
        objects = objects_of(amal, omar, "omar")
        keys = {permission: api_keys.create(people.owner(amal), name=permission, given=(permission,))
                for permission in GIVEN_TO_KEYS}  # fmt: skip
        keys[READ] = api_keys.create(people.owner(amal), name=READ)
    world = World({}, keys, {"amal": objects})
    wrong = {}
    for route, needed in KEYS.items():
        for given in keys:
            status = request_status(app, world, route, given, objects)
            allowed = needed in (OPEN, READ) or needed == given
            if (status == 403) is allowed or status == 401 or status >= 500:
                wrong[f"{route} with {given}"] = status
    assert wrong == {}
