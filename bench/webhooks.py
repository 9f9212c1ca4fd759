"""Payments with and without a webhook endpoint, in alternating rounds over HTTP.

Each pair of rounds pays as many seconds without an endpoint and with one: every event of a payment then has a delivery
row in the payment's own commit. A third round of each turn has a worker that delivers to a receiver meanwhile, on the
same cores. Prints the ratio of the medians of payments a second, with the ratios of the single turns from the lowest
to the highest, and the CPU of web processes and PostgreSQL for a payment, the steadiest measure on a busy machine.
"""

import multiprocessing
import os
import statistics
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.synchronize import Event
from typing import Any, Final

from sqlalchemy import text

from bench._scene import Scene, scene
from bench._wrk import Request, send
from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.models import WebhookEndpoint
from portal.services.webhooks import delivery, endpoints
from tests.fixtures import people
from tests.fixtures.live import free_port

TURNS: Final = 12
SECONDS: Final = 1.0
SLICE: Final = 210
"""Installments for one round: more than can be paid in it."""
OFF, ON, DELIVERED = "without an endpoint", "with an endpoint", "and delivered meanwhile"
FORK: Final = multiprocessing.get_context("fork")


def main() -> None:
    port = free_port()
    receiver = FORK.Process(target=receive, args=(port,), daemon=True)
    receiver.start()
    try:
        with scene(2_500) as built:
            report(*rounds(built, f"http://127.0.0.1:{port}/hooks"), rows())
    finally:
        receiver.terminate()
        receiver.join()


Rates = dict[str, list[float]]


def rounds(built: Scene, url: str) -> tuple[Rates, Rates]:
    """Payments a second, and CPU milliseconds of a payment, by kind of round, turn by turn. The order alternates."""
    owner = people.owner(1)
    name = db.session.get_one(WebhookEndpoint, endpoints.create(owner, url=url).endpoint_id).name
    pays = [Request("POST", f"/api/plans/installments/{row}/pay/", headers) for row, _, headers in built.payable]
    rates, spent = ({kind: list[float]() for kind in (OFF, ON, DELIVERED)} for _ in range(2))
    delivers = FORK.Event()
    worker = FORK.Process(target=deliver, args=(built.app.config["QIST"], delivers), daemon=True)
    worker.start()
    try:
        send(built.url, _take(pays), SECONDS, built.folder)  # the first answers compile templates and statements
        for turn in range(TURNS):
            kinds = [OFF, ON, DELIVERED] if turn % 2 else [DELIVERED, ON, OFF]
            for kind in kinds:
                delivers.clear()
                endpoints.change(name, actor=owner, enabled=False)  # ends what waits, so that the worker rests
                time.sleep(0.5)
                endpoints.change(name, actor=owner, enabled=kind != OFF)
                if kind == DELIVERED:
                    delivers.set()
                before = sum(built.processes())
                measured = send(built.url, _take(pays), SECONDS, built.folder)
                spent[kind].append(1000 * (sum(built.processes()) - before) / (measured.requests or 1))
                if measured.refused:
                    raise RuntimeError(f"{measured.refused} payments were refused")
                rates[kind].append(measured.rate)
    finally:
        worker.terminate()
        worker.join()
    return rates, spent


def _take(pays: list[Request]) -> list[Request]:
    taken = pays[:SLICE]
    del pays[:SLICE]
    return taken


def report(rates: Rates, spent: Rates, counts: dict[str, int]) -> None:
    """The medians, and the ratios to the rounds without an endpoint."""
    print(f"{os.cpu_count()} cores, {TURNS} turns of {SECONDS:.0f} s, deliveries: {counts}")
    for kind in rates:
        for figures, unit in ((rates, "payments/s"), (spent, "CPU ms a payment")):
            ratios = sorted(one / off for one, off in zip(figures[kind], figures[OFF], strict=True))
            middle = statistics.median(figures[kind])
            ratio = f"ratio {middle / statistics.median(figures[OFF]):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
            print(f"{kind:<24} {middle:7.1f} {unit:<17} {ratio}")


def rows() -> dict[str, int]:
    """The deliveries by state."""
    db.session.rollback()
    query = text("SELECT state, count(*) FROM webhook_deliveries GROUP BY state ORDER BY state")
    return {row[0]: row[1] for row in db.session.execute(query)}


def deliver(settings: Settings, delivers: Event) -> None:
    """A worker that delivers while it should."""
    app = create_app(settings)
    with app.app_context():
        while True:
            delivers.wait()
            if not delivery.deliver_due():
                time.sleep(0.05)
            db.session.rollback()


def receive(port: int) -> None:
    """A receiver that answers 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
