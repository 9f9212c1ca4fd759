"""`qist listen` as a process: events of an installation reach a server on this machine, signed, also after stops."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from standardwebhooks import Webhook

from portal.api.schemas.events import bodies
from portal.domain.events import PlanAccepted
from portal.extensions import db
from portal.gateways import webhook_signatures
from portal.jobs import tasks
from portal.models import PublicEvent
from portal.services import events
from portal.services.accounts import api_keys
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import people
from tests.fixtures.live import free_port, served
from tests.fixtures.webhooks import Receiver, receiving
from tests.processes.running import ROOT, until

SECRET = webhook_signatures.new_secret()


@unit_of_work
def happen(plan_id: int, count: int) -> None:
    """So many events of the plan."""
    events.record_all([(plan_id, PlanAccepted())] * count, by=None)


class Listening:
    """Runs of `qist listen` for one installation and one key, with one state file."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self.folder, self.url, self.key = folder, url, key
        self.out = folder / "listen.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, target: str, *options: str, **environ: str) -> None:
        command = [sys.executable, "-m", "portal.cli", "listen", target, "--every", "0.1", *options]
        keys = {"QIST_URL": self.url, "QIST_API_KEY": self.key, "WEBHOOK_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
        needed = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FLASK_SKIP_DOTENV": "1"}
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**needed, **keys, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def run(self, target: str, *options: str, **environ: str) -> tuple[int, str]:
        """The exit code and the output of a run that ends by itself."""
        self.out.unlink(missing_ok=True)
        self.start(target, *options, **environ)
        assert self.process
        return self.process.wait(60), self.output

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    @property
    def output(self) -> str:
        return self.out.read_text() if self.out.exists() else ""

    def says(self, words: str) -> None:
        until(lambda: words in self.output, details=lambda: self.output)


@pytest.fixture
def listening(app: Flask, amal: int, tmp_path: Path) -> Iterator[Listening]:
    key = api_keys.create(people.owner(amal), name="Laptop")
    with served(app) as url:
        process = Listening(tmp_path, url, key)
        yield process
        if process.process is not None:
            process.stop(signal.SIGKILL)


def numbered() -> list[PublicEvent]:
    tasks.number_events()
    db.session.rollback()
    return list(db.session.scalars(db.select(PublicEvent).order_by(PublicEvent.number)))


def arrive(receiver: Receiver, count: int, listening: Listening) -> None:
    process = listening.process
    assert process
    until(lambda: len(receiver.got) >= count or process.poll() is not None, details=lambda: listening.output)
    assert len(receiver.got) >= count, listening.output


@pytest.mark.long
def test_events_are_forwarded_as_webhooks_and_a_later_run_goes_on(listening: Listening, amal: int) -> None:
    plan_id = people.a_plan(amal)
    happen(plan_id, 2)
    past = numbered()
    with receiving() as receiver:
        listening.start(receiver.url, "--from-start")
        arrive(receiver, len(past), listening)
        for headers, body in receiver.got:
            assert Webhook(SECRET).verify(body, headers)["id"] == headers["webhook-id"]
        assert receiver.names == [row.name for row in past]
        assert dict(zip([row.event_id for row in past], [body for _, body in receiver.got], strict=True)) == (
            bodies(amal, past)
        ), "the bodies are those of webhooks, byte for byte"
        happen(plan_id, 25)
        everything = numbered()
        arrive(receiver, len(everything), listening)
        listening.says(f"{everything[-1].name}  200")
        assert listening.stop() == 0 and listening.output.endswith("stopped\n")
        happen(plan_id, 3)
        everything = numbered()
        listening.start(receiver.url)
        arrive(receiver, len(everything), listening)
        assert receiver.names == [row.name for row in everything], "each once, in order"
        listening.says(f"{everything[-1].name}  200")
    lines = [line for line in listening.output.splitlines() if "evt_" in line]
    assert len(lines) == len(everything) and all("  200  " in line for line in lines)
    assert listening.key not in listening.output and SECRET not in listening.output
    state = listening.folder / ".qist-listen"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600 and listening.key not in state.read_text()


@pytest.mark.long
def test_without_a_state_it_begins_behind_the_newest_event(listening: Listening, amal: int) -> None:
    plan_id = people.a_plan(amal)
    past = numbered()
    with receiving() as receiver:
        proxy = f"http://127.0.0.1:{free_port()}"
        listening.start(receiver.url, WEBHOOK_SECRET="", http_proxy=proxy, HTTP_PROXY=proxy)
        listening.says("Forwarding to")
        happen(plan_id, 1)
        newest = numbered()[len(past) :]
        arrive(receiver, 1, listening)
        assert receiver.names == [row.name for row in newest]
        secret = json.loads((listening.folder / ".qist-listen").read_text())["secret"]
        assert f"Signing secret: {secret}\n" in listening.output
        assert Webhook(secret).verify(receiver.got[0][1], receiver.got[0][0])
        other = Listening(listening.folder, listening.url, listening.key)
        other.out = listening.folder / "other.out"
        code, output = other.run(receiver.url)
        assert code == 1 and "another qist listen is using it" in output
    listening.stop()
    code, output = listening.run(receiver.url, "--types", "plan.accepted")
    assert code == 1 and "another installation, business or filter" in output


@pytest.mark.long
def test_a_run_that_is_killed_repeats_at_most_what_was_under_way(listening: Listening, amal: int) -> None:
    happen(people.a_plan(amal), 29)
    count = len(numbered())
    with receiving() as receiver:
        for goal in (5, 12, 25):
            listening.start(receiver.url, "--from-start")
            arrive(receiver, goal, listening)
            listening.stop(signal.SIGKILL)
        listening.start(receiver.url)
        until(lambda: len(set(receiver.names)) == count, details=lambda: listening.output)
        assert len(receiver.names) <= count + 3


@pytest.mark.long
def test_errors_are_repeated_three_times_and_a_server_that_is_away_is_waited_for(
    listening: Listening, amal: int
) -> None:
    happen(people.a_plan(amal), 1)
    first, second = (row.name for row in numbered())
    answers: Callable[[Receiver], int] = lambda receiver: 500 if receiver.names[-1] == first else 200  # noqa: E731
    with receiving(answers) as receiver:
        listening.start(receiver.url, "--from-start")
        arrive(receiver, 4, listening)
        assert receiver.names == [first] * 3 + [second]
        listening.says("left out after 3 answers")
        listening.says(f"{second}  200")
        listening.stop()
    happen(db.session.scalars(db.select(PublicEvent.plan_id).limit(1)).one(), 1)
    third = numbered()[-1].name
    listening.start(f"http://127.0.0.1:{free_port()}/hook")
    listening.says(f"{third}  no connection  again in 2 s")
    listening.stop()
    with receiving() as receiver:
        listening.start(receiver.url)
        arrive(receiver, 1, listening)
        assert receiver.names == [third]


@pytest.mark.long
def test_what_it_refuses(listening: Listening, tmp_path: Path) -> None:
    """A target that is not this machine, a key in clear over the network, no key, a wrong key, a wrong file."""
    hook = "http://127.0.0.1:9/hook"
    for target in ("http://192.168.1.4/hook", "https://shop.example.com/hook", "hook", "http://127.0.0.1@x.example/"):
        code, output = listening.run(target)
        assert code == 1 and "is not an address of this machine" in output, target
    code, output = listening.run(hook, "--from", "http://pay.example.org")
    assert code == 1 and "must be https" in output
    code, output = listening.run(hook, QIST_API_KEY="")
    assert code == 1 and "No API key" in output
    code, output = listening.run(hook, QIST_API_KEY=f"qist_{'a' * 10}.{'b' * 43}")
    assert code == 1 and "does not take this API key" in output and "b" * 43 not in output
    code, output = listening.run(hook, WEBHOOK_SECRET="whsec_?")
    assert code == 1 and "is not a signing secret" in output
    code, output = listening.run(hook, "--types", "plan.painted")
    assert code == 1 and "The installation refuses." in output
    code, output = listening.run(hook, "--key-file", str(tmp_path / "nothing"))
    assert code == 1 and "No such file" in output
    (tmp_path / "broken").write_text("[]")
    code, output = listening.run(hook, "--state", str(tmp_path / "broken"))
    assert code == 1 and "not a state of qist listen" in output
    assert "Traceback" not in output
    (tmp_path / "key").write_text(f"{listening.key}\n")
    listening.start(hook, "--key-file", str(tmp_path / "key"), "--state", str(tmp_path / "state"), QIST_API_KEY="")
    listening.says("Forwarding to")
