"""Count what customers get while a command replaces the web servers: `python docs/updates.py URL make up`.

URL is that of the proxy with the lines of docs/deployment.md. One client asks for a page ten times a second, another
pays one installment after the other, each until its outcome is known, under one key. The installation takes
registrations and plans at once: EMAIL_CONFIRMATION=off, MERCHANT_REGISTRATION=open, PLAN_ACCEPTANCE=off, and
RATELIMIT_WRITES above the payments of a minute. Exit code 1 if a payment was lost or paid twice.
"""

import json
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

EVERY = 0.1
"""Seconds between two pages."""
PARTS = 24
PASSWORD = "seven green boats"  # noqa: S105 of this run's accounts
CALM = 5.0
"""Seconds of load before the command and after it."""


class Load:
    """The clients, and what they were answered: `codes` by client and status, `slowest` in seconds, and when."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.codes: Counter[tuple[str, int]] = Counter()
        self.slowest = {"page": (0.0, 0.0), "payment": (0.0, 0.0)}
        self.began = time.monotonic()
        self.bad_gateway = 0.0
        self.plans: list[int] = []
        self.paid: dict[int, str] = {}
        self.stop = threading.Event()
        run = secrets.token_hex(4)
        for role in ("merchant", "customer"):
            account = {"username": f"{role}-{run}", "email": f"{role}-{run}@example.com", "role": role}
            self.must("POST", "/auth/register/", {**account, "password": PASSWORD, "password2": PASSWORD})
        self.shop, self.buyer = (
            self.must("POST", "/token/", {"username": f"{role}-{run}", "password": PASSWORD})["access"]
            for role in ("merchant", "customer")
        )
        self.email = f"customer-{run}@example.com"

    def ask(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> tuple[int, Any]:
        """The status and the JSON of an answer. Status 0: no answer."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 the address of the caller
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        for name, value in (("Authorization", token and f"Bearer {token}"), ("Idempotency-Key", key)):
            if value:
                request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                content = response.read()
                return response.status, json.loads(content) if path.startswith(("/api", "/token", "/auth")) else None
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, None
        except (OSError, ValueError):
            return 0, None

    def must(self, *words: Any) -> Any:
        status, body = self.ask(*words)
        assert status in (200, 201), f"{words[1]}: {status}"
        return body

    def timed(self, client: str, *words: Any) -> tuple[int, Any]:
        began = time.monotonic()
        answer = self.ask(*words)
        self.codes[client, answer[0]] += 1
        self.slowest[client] = max(self.slowest[client], (time.monotonic() - began, began - self.began))
        return answer

    def look(self) -> None:
        """Ask for the page of the sign-in until the end."""
        due = time.monotonic()
        while not self.stop.is_set():
            if self.timed("page", "GET", "/login")[0] == 502:
                self.bad_gateway += EVERY
            due = max(due + EVERY, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0))

    def pay(self) -> None:
        """Pay installments until the end, each under one key until its outcome is known."""
        while not self.stop.is_set():
            plan = self.insist("POST", "/api/plans/", self.terms(), self.shop)
            self.plans.append(plan["id"])
            for part in plan["installments"]:
                if self.stop.is_set():
                    return
                paid = self.insist("POST", f"/api/plans/installments/{part['id']}/pay/", {}, self.buyer)
                self.paid[part["id"]] = paid["amount"]

    def insist(self, method: str, path: str, body: Any, token: str) -> Any:
        """Send a request again, under its key, until it is carried out."""
        key = secrets.token_hex(8)
        while True:
            status, answer = self.timed("payment", method, path, body, token, key)
            if status in (200, 201):
                return answer
            time.sleep(EVERY)

    def terms(self) -> dict[str, Any]:
        start = str((datetime.now(UTC) + timedelta(days=7)).date())
        return {
            "total_amount": f"{PARTS}.00",
            "num_installments": PARTS,
            "start_date": start,
            "customer_email": self.email,
        }

    def lost(self) -> list[int]:
        """The installments whose acknowledged payment is not in the books, once."""
        found: Counter[int] = Counter()
        for plan in self.plans:
            for payment in self.must("GET", f"/api/payments/?plan={plan}&status=succeeded&limit=100", None, self.shop):
                found.update(row["installment"] for row in payment["installments"])
        return [part for part in self.paid if found[part] != 1]


def main() -> int:
    load = Load(sys.argv[1])
    threads = [threading.Thread(target=client) for client in (load.look, load.pay)]
    for thread in threads:
        thread.start()
    time.sleep(CALM)
    began = time.monotonic()
    load.began = began
    code = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - began
    time.sleep(CALM)
    load.stop.set()
    for thread in threads:
        thread.join()
    lost = load.lost()
    print(f"{' '.join(sys.argv[2:])}: exit code {code} after {seconds:.0f} s")
    for client in ("page", "payment"):
        answers = {status: count for (name, status), count in sorted(load.codes.items()) if name == client}
        seconds, when = load.slowest[client]
        print(f"{client}: {answers}, the slowest {seconds:.1f} s, {when:.0f} s after the start")
    print(f"502: {load.bad_gateway:.1f} s; paid {len(load.paid)}, lost or twice {len(lost)} {lost[:5]}")
    return 1 if lost or code else 0


if __name__ == "__main__":
    sys.exit(main())
