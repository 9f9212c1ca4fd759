"""The cost of the JSON list of 50 plans of 4 installments each, relative to a constant response.

Runs in one process and one thread, through the whole application (middleware, sign-in, database), on servers of its
own. Prints the requests per second of both, and their ratio.
"""

import time
from collections.abc import Callable

from flask import Flask, Response

from bench._app import application
from portal.api import callers
from portal.services.accounts import tokens
from tests.fixtures import people
from tests.fixtures.query_log import queries

PLANS = 50
INSTALLMENTS = 4
SECONDS = 4.0


def measure(call: Callable[[], object]) -> float:
    """Calls per second, after a warm-up."""
    for _ in range(20):
        call()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        call()
        count += 1
    return count / (time.perf_counter() - began)


def main() -> None:
    with application(RATELIMIT_WRITES="1000000 per minute") as app:
        run(app)


def run(app: Flask) -> None:
    body = b"[]"

    def constant() -> Response:
        return app.response_class(body, content_type="application/json")

    app.add_url_rule("/api/constant/", view_func=constant)
    app.add_url_rule("/api/constant-signed-in/", "signed_in", callers.signed_in()(constant))
    with app.app_context():
        amal = people.amal()
        people.omar()
        for _ in range(PLANS):
            people.a_plan(amal, "omar@example.com", count=INSTALLMENTS)
        headers = {"Authorization": f"Bearer {tokens.start(amal).access}"}
    client = app.test_client()

    def get(path: str) -> Callable[[], bytes]:
        return lambda: client.get(path, headers=headers).data

    with queries(app) as sent:
        body = get("/api/plans/")()
    rates = {path: measure(get(path)) for path in ("/api/constant/", "/api/constant-signed-in/", "/api/plans/")}
    for path, rate in rates.items():
        print(f"{path:<28} {rate:8.0f} requests/s   {1000 / rate:6.2f} ms")
    print(f"ratio to constant bytes: {rates['/api/plans/'] / rates['/api/constant/']:.2f}")
    print(f"ratio to constant bytes, signed in: {rates['/api/plans/'] / rates['/api/constant-signed-in/']:.2f}")
    print(f"{PLANS} plans of {INSTALLMENTS} installments, {len(body)} bytes, {len(sent)} queries")


if __name__ == "__main__":
    main()
