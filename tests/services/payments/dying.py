"""A program that kills itself inside payments and refunds: `python -m tests.services.payments.dying`.

Each line of its input is a moment and a list of requests. A child process runs them all at once, and kills itself when
every request has reached the moment. The reply is a line with the child's end.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from portal.app import create_app
from portal.config import load
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import gateway as simulated
from portal.local.child_server import marks
from portal.services.idempotency import RequestKey
from portal.services.payments import callbacks, payments, refunds
from tests.fixtures import people, servers

BEFORE, AFTER, RECORDED = MOMENTS = ("before the gateway is asked", "after its answer", "after it was recorded")
SCOPE = "POST /dying"
AT_ONCE = 24

Wish = dict[str, Any]
"""A request: `verb` (pay, refund or win), its arguments, its `key` and the key's `user`."""


def request_key(wish: Wish) -> RequestKey:
    return RequestKey(wish["user"], SCOPE, wish["key"], "f")


def carry_out(wish: Wish) -> Any:
    """Pay an installment, refund an amount of a plan, or take the callback about money that was won back."""
    if wish["verb"] == "win":
        return callbacks.update_from_gateway(wish["key"])
    if wish["verb"] == "pay":
        return payments.pay_installment(
            wish["installment"],
            customer_id=wish["user"],
            shown=None,
            method=wish["card"],
            request_key=request_key(wish),
        )
    return refunds.refund(
        wish["plan"],
        actor=people.owner(wish["user"]),
        amount=wish["amount"],
        reason="A death",
        request_key=request_key(wish),
    )


@contextmanager
def nursery() -> Iterator["Nursery"]:
    """Run the program on this test's database."""
    settings = servers.settings_for(servers.database_name())
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.services.payments.dying"],
        cwd=Path(__file__).parents[3],
        env={
            **marks(os.environ),
            "PATH": os.environ["PATH"],
            "FLASK_SKIP_DOTENV": "1",
            "SECRET_KEY": str(settings.secret_key),
            "DATABASE_URL": str(settings.database_url),
            "REDIS_URL": str(settings.redis_url),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Nursery(process)
    finally:
        process.kill()
        process.communicate()


class Nursery:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def dies(self, moment: str, wishes: Sequence[Wish]) -> None:
        """Kill children at this moment until every request was part of one."""
        assert self.process.stdin and self.process.stdout
        for start in range(0, len(wishes), AT_ONCE):
            self.process.stdin.write(json.dumps([moment, wishes[start : start + AT_ONCE]]) + "\n")
            self.process.stdin.flush()
            reply = self.process.stdout.readline().strip()
            assert reply == f"killed by {signal.SIGKILL}", f"a child did not reach the moment: {reply}"


def main() -> None:
    app = create_app(load(os.environ))
    simulated.SLOW = 0.2  # type: ignore[misc]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                die(app, *json.loads(line))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(f"killed by {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "it lived", flush=True)  # noqa: T201


def die(app: Flask, moment: str, wishes: list[Wish]) -> None:
    """Run the requests until the kill. Returns only after a failure."""
    all_ready = threading.Barrier(len(wishes), action=lambda: os.kill(os.getpid(), signal.SIGKILL))
    if moment != RECORDED:
        with app.app_context():
            for name in ("charge", "refund"):
                setattr(gateway.active(), name, killed_at(all_ready, moment, getattr(gateway.active(), name)))

    def run(wish: Wish) -> None:
        with app.app_context():
            carry_out(wish)
        all_ready.wait(60)

    threads = [threading.Thread(target=run, args=(wish,)) for wish in wishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def killed_at(all_ready: threading.Barrier, moment: str, call: Any) -> Any:
    """Wrap the gateway's call so that every thread waits for the kill, before or after the call."""

    def call_and_wait(*args: Any) -> Any:
        if moment == AFTER:
            call(*args)
        all_ready.wait(60)

    return call_and_wait


if __name__ == "__main__":
    main()
