"""Workers that are killed while receivers are slow, broken, gone, redirecting or renamed to a private address.

Every event reaches every receiver that recovers, at least once and under one id, and nothing goes to a refused address.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, or_, select, update

from portal.domain import clock
from portal.domain.events import PlanAccepted
from portal.extensions import db
from portal.models import PublicEvent, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from portal.models.webhooks import PENDING_DELIVERIES
from portal.services import events
from portal.services.unit_of_work import unit_of_work
from tests.conftest import Figures
from tests.fixtures import people, servers
from tests.fixtures.webhooks import Receiver, an_endpoint, receiving

ROOT = Path(__file__).parents[3]
HANG_SECONDS = 400.0
MAX_SECONDS = 1.0
"""The time limit of a request in these workers."""
REFUSED = ("10.0.0.1", "169.254.169.254", "fd00::1")
"""The resolver's answers to each second look, one after the other."""

WORKER = f"""
import itertools, json, sys, time
from portal.job_app import create_job_app
from portal.gateways import webhooks
from portal.services.webhooks import delivery
from tests.fixtures import servers

connections = open(sys.argv[2], "a", buffering=1)
def audit(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        connections.write(json.dumps(arguments[1][:2]) + "\\n")
sys.addaudithook(audit)

looks = itertools.count()
def resolve(host, port):
    look = next(looks)
    return ["127.0.0.1"] if look % 2 == 0 else [{REFUSED!r}[look // 2 % 3]]

webhooks.send.__kwdefaults__["max_seconds"] = {MAX_SECONDS}
app = create_job_app(servers.settings_for(sys.argv[1]))
with app.app_context():
    print("ready", flush=True)
    while True:
        delivery.deliver_due(resolve=resolve) or time.sleep(0.05)
"""


@unit_of_work
def happen(plan_id: int, count: int) -> None:
    """So many events of the plan."""
    events.record_all([(plan_id, PlanAccepted())] * count, by=None)


def sometimes_slow(every: int) -> Callable[[Receiver], int]:
    """Each such request is answered after the time limit."""

    def answer(receiver: Receiver) -> int:
        time.sleep(MAX_SECONDS * 1.5 if len(receiver.got) % every == 0 else 0.01)
        return 200

    return answer


def refusing_at_first(status: int, every: int) -> Callable[[Receiver], int]:
    """The first request of each such event is answered with this status."""
    requests: Counter[str] = Counter()

    def answer(receiver: Receiver) -> int:
        name = receiver.names[-1]
        requests[name] += 1
        return status if requests[name] == 1 and len(requests) % every == 0 else 200

    return answer


def make_due(*states: str) -> None:
    """The time of every pause, and of deliveries in these states, has passed."""
    db.session.rollback()
    now = clock.now()
    later = WebhookDelivery.state.in_(states), WebhookDelivery.next_try_at > now
    db.session.execute(update(WebhookDelivery).where(*later).values(next_try_at=now))
    db.session.commit()  # a worker locks an endpoint before its delivery
    paused = or_(WebhookEndpoint.paused_until.is_not(None), WebhookEndpoint.unreached > 0)
    db.session.execute(update(WebhookEndpoint).where(paused).values(paused_until=None, unreached=0))
    db.session.commit()


def pending() -> int:
    db.session.rollback()
    query = select(func.count()).select_from(WebhookDelivery).where(WebhookDelivery.state.in_(PENDING_DELIVERIES))
    return db.session.scalar(query) or 0


def work(connections: Path, is_over: Callable[[], bool]) -> None:
    """A worker that is killed once this is true. Its pauses pass at once, and its lease after its death."""
    command = [sys.executable, "-c", WORKER, servers.database_name(), str(connections)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        end = time.monotonic() + HANG_SECONDS
        while not is_over():
            assert process.poll() is None and time.monotonic() < end
            make_due("waiting")
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    make_due(*PENDING_DELIVERIES)


@pytest.mark.parametrize(
    ("count", "kills", "each"),
    [pytest.param(8, 1, 8, marks=pytest.mark.long), pytest.param(1_000, 30, 100, marks=pytest.mark.proof)],
)
def test_every_event_arrives_under_one_id_and_none_at_a_refused_address(
    amal: int, tmp_path: Path, figures: Figures, count: int, kills: int, each: int
) -> None:
    owner, connections = people.owner(amal), tmp_path / "connections"
    with ExitStack() as stack:
        trap, slow, broken, redirecting, renamed, gone = (
            stack.enter_context(receiving(answer))
            for answer in (
                lambda receiver: 200,
                sometimes_slow(max(4, count // 20)),
                refusing_at_first(500, max(1, count // 250)),
                refusing_at_first(307, max(1, count // 250)),
                lambda receiver: 200,
                lambda receiver: 200 if len(receiver.got) < 5 else 410,
            )
        )
        redirecting.headers["Location"] = trap.url
        all_but_gone = [slow, broken, redirecting, renamed]
        addresses = {id(renamed): renamed.url.replace("127.0.0.1", "localhost")}
        endpoint_ids = {
            id(receiver): an_endpoint(owner, addresses.get(id(receiver), receiver.url)).id
            for receiver in [*all_but_gone, gone]
        }
        happen(people.a_plan(amal), count - 1)
        db.session.rollback()

        def received() -> int:
            return sum(len(receiver.got) for receiver in [*all_but_gone, gone])

        for _ in range(kills):
            goal = received() + each
            work(connections, lambda goal=goal: received() >= goal or not pending())
        work(connections, lambda: not pending())
        names = {row.name for row in db.session.scalars(select(PublicEvent))}
        assert len(names) == count
        for receiver in all_but_gone:
            query = select(WebhookDelivery.state).where(WebhookDelivery.endpoint_id == endpoint_ids[id(receiver)])
            assert Counter(db.session.scalars(query)) == {"delivered": count}
            assert set(receiver.names) == names
            assert all(json.loads(body)["id"] == headers["webhook-id"] for headers, body in receiver.got)
        assert db.session.get_one(WebhookEndpoint, endpoint_ids[id(gone)]).disabled_for == "gone"
        assert len(set(gone.names)) < count and trap.got == []
        repeats = sum(len(receiver.got) - len(set(receiver.names)) for receiver in all_but_gone)

    connected = [json.loads(line) for line in connections.read_text().splitlines()]
    assert {host for host, _ in connected} == {"127.0.0.1"}
    assert urlsplit(trap.url).port not in {port for _, port in connected}
    attempts = db.session.execute(select(WebhookAttempt.status, WebhookAttempt.problem))
    outcomes = Counter((row.status, row.problem) for row in attempts)
    assert {(500, None), (307, None), (410, None), (None, "refused_address")} <= set(outcomes)
    assert (None, "timeout") in outcomes
    figures(
        f"webhooks under faults: {count} events x {len(all_but_gone)} receivers, {kills} kills, "
        f"{repeats} repeats, {outcomes[None, 'refused_address']} looks refused"
    )
