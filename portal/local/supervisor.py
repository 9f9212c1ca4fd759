"""`qist dev`: everything Qist needs, on one laptop, under one supervisor.

Why not honcho's Manager: a Ctrl-C in its first moments is a KeyError that leaves children behind, a child that ignores
SIGTERM is never killed, nobody can watch a server that isn't its own child, and its helper processes ignore SIGTERM and
outlive a killed supervisor. What is left after that is the page below.

A database in QIST_HOME that an unreleased version made can't be upgraded. It is set aside (renamed, never deleted) when
the person at the terminal agrees, or `--set-aside` was given, and a new one is started in its place.

The order is what makes it safe: hold QIST_HOME, stop what an earlier start left behind, check the port, and only then
start: PostgreSQL, Valkey, migrations, and web, worker and scheduler; they stop in the opposite order.
"""

import contextlib
import errno
import http.client
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from portal.config import Settings
from portal.domain import clock
from portal.local import data_dir as homes
from portal.local.child_server import MARK, Server, die_with_parent
from portal.local.guardian import Guardian, end, marked
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey

CHILDREN = ("web", "worker", "scheduler")
PATIENCE = 4.0  # for the children; with the servers' own it stays below the 10 seconds that Ctrl-C may take
READY_WITHIN = 90.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 an address to ask, not to bind
COLOURS = (36, 33, 35, 32, 34)


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not an Exception, so that no handler on the way takes it for a failure."""


class Ended(Exception):
    """Something that should run has ended: `code` is what `qist dev` exits with."""

    def __init__(self, name: str, code: int) -> None:
        how = f"was stopped by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        super().__init__(f"{name} {how}; everything else was stopped too.")
        self.code = 128 - code if code < 0 else code or 1


class Unreleased(Exception):
    """An unreleased version made the database. `qist prepare` has printed the line about it."""


def run(settings: Settings, environ: Mapping[str, str], *, set_aside: bool = False) -> int:
    """Run until Ctrl-C (0), until something ends (its exit code), or not at all (1). Prints for a person.

    `set_aside`: the answer to the question about a database that an unreleased version made, given in advance.
    """
    if settings.production:
        return _refuse("qist dev is for development: it starts its own servers. QIST_ENV=production needs qist web.")
    output = Output()
    try:
        with homes.held(settings.home):
            try:
                _supervise(settings, environ, output)
            except Unreleased:
                if settings.database_url or not (set_aside or _agreed()):
                    return 1
                _set_aside(settings.home, output)
                _supervise(settings, environ, output)
    except Stopped:
        output.say("stopped")
        return 0
    except Ended as error:
        print(error, file=sys.stderr)
        return error.code
    except homes.DataDirError as error:
        return _refuse(str(error))
    return 0


def _supervise(settings: Settings, environ: Mapping[str, str], output: "Output") -> None:
    with Supervisor(settings, environ, output, Signals()) as supervisor:
        supervisor.start()
        supervisor.watch()


def _agreed() -> bool:
    """Ask the person at the terminal. False without a terminal."""
    if not sys.stdin.isatty():
        return False
    Signals()  # the supervisor that has just ended ignores them
    try:
        return input("Set it aside and start anew? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _set_aside(home: Path, output: "Output") -> None:
    Postgres(home).stop()
    for path in homes.set_aside(home, (Postgres.name, "demo-logins"), f"{clock.now():%Y%m%d-%H%M%S}"):
        output.write(f"qist: set aside as {path}")


class Supervisor:
    """The children and the servers they need. Leaving the `with` block stops all of them, whatever happened in it."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], output: "Output", signals: "Signals") -> None:
        self.settings = settings
        self.signals = signals
        self.output = output
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.readers: list[threading.Thread] = []
        self.servers: list[Server] = []
        self.guardian: Guardian | None = None
        self.environ = {
            **environ,
            MARK: os.path.realpath(settings.home),
            "QIST_HOME": str(settings.home),
            "PYTHONUNBUFFERED": "1",
            "TZ": "UTC",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.signals.ignore()
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        self.end_marked(PATIENCE)
        for child in self.children.values():
            child.wait()
        for server in reversed(self.servers):
            server.stop(patience=1.2)
        self.end_marked(0.1)  # a child that was just being born
        for reader in self.readers:
            reader.join(1)
        if self.guardian:
            self.guardian.stop()

    def start(self) -> None:
        """From nothing to a page that answers."""
        settings = self.settings
        if self.end_marked(PATIENCE):
            self.output.say("stopped what an earlier start had left running")
        check_port(settings.host, settings.port)
        self.guardian = Guardian((MARK, self.environ[MARK]), self.environ, home=settings.home)
        if not settings.secret_key:
            self.environ["SECRET_KEY"] = secret_key(settings.home)
        if not settings.database_url:
            self.environ["DATABASE_URL"] = self.serve(Postgres(settings.home, say=self.output.say))
        if not settings.redis_url:
            self.environ["REDIS_URL"] = self.serve(Valkey(settings.home, say=self.output.say))
        self.prepare()
        self.output.say("starting web, worker and scheduler")
        for name in CHILDREN:
            self.child(name)
        self.until_ready()
        self.welcome()

    def serve(self, server: Server) -> str:
        self.servers.append(server)
        return server.start().url

    def child(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """A session of its own, or Ctrl-C would reach it beside us and workers would drop what they do."""
        child = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", name, *options],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 one prctl call, which takes no lock
        )
        self.children[name] = child
        assert child.stdout  # noqa: S101 it was asked for
        reader = threading.Thread(target=self.output.relay, args=(name, child.stdout), daemon=True)
        reader.start()
        self.readers.append(reader)
        return child

    def end_marked(self, patience: float) -> int:
        """End every process that carries our mark, work-horses of killed workers too. How many there were."""
        spared = self.guardian.process.pid if self.guardian else None
        mark = self.environ[MARK]
        return end(lambda: [process for process in marked(MARK, mark) if process.pid != spared], patience)

    def prepare(self) -> None:
        """Migrations, and the demo data where this home has its own database: a process, because it needs the app."""
        self.output.say("bringing the database up to date")
        demo = [] if self.settings.database_url else ["--demo"]
        child = self.child("prepare", *demo)
        while (code := child.poll()) is None:
            self.signals.check()
            time.sleep(0.02)
        del self.children["prepare"]
        if code == homes.UNRELEASED:
            raise Unreleased
        if code:
            raise Ended("preparing the database", code)

    def until_ready(self) -> None:
        began, last = time.monotonic(), ""
        while time.monotonic() - began < READY_WITHIN:
            self.check()
            status, last = self.readiness()
            if status == http.HTTPStatus.OK:
                return
            time.sleep(0.05)
        raise homes.DataDirError(f"/readyz isn't ready after {READY_WITHIN:.0f} seconds: {last}")

    def readiness(self) -> tuple[int, str]:
        host = ANYWHERE.get(self.settings.host, self.settings.host)
        connection = http.client.HTTPConnection(host, self.settings.port, timeout=3)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read(2000).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def check(self) -> None:
        self.signals.check()
        running = {**self.children, **{server.name: server.process for server in self.servers if server.process}}
        for name, process in running.items():
            if (code := process.poll()) is not None:
                raise Ended(name, code)

    def watch(self) -> None:
        while True:
            self.check()
            time.sleep(0.2)

    def welcome(self) -> None:
        logins = self.settings.home / "demo-logins"
        lines = ["", f"  Qist is ready: {self.settings.public_url}", ""]
        if logins.exists():
            lines += [f"  {line}".rstrip() for line in logins.read_text().splitlines()]
            if not self.settings.demo_logins_work:
                lines.append(f"  (refused on {self.settings.host}: demo logins work on 127.0.0.1 only)")
            lines.append("")
        if not self.settings.smtp_host:
            lines += [f"  Mails stay in the outbox: {self.settings.public_url}/outbox", ""]
        self.output.write("\n".join([*lines, "  Ctrl-C stops everything.", ""]))


class Output:
    """One stream from many: a line at a time, each with the name of its process in front."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.colours = itertools.cycle(COLOURS)
        self.colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, text: str) -> None:
        self.write(f"qist: {text} ...")

    def write(self, text: str) -> None:
        # Whoever read our output may be gone (qist dev | head); that is no reason to stop.
        with self.lock, contextlib.suppress(OSError, ValueError):
            print(text, flush=True)

    def relay(self, name: str, stream: IO[bytes]) -> None:
        front = f"{name:<9} |"
        if self.colourful:
            front = f"\033[{next(self.colours)}m{front}\033[0m"
        for line in stream:
            self.write(f"{front} {line.decode(errors='replace').rstrip()}")


def check_port(host: str, port: int) -> None:
    """Refuse a port that somebody else listens on, before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
        other = port + 1 if port < 65535 else 8000
        raise homes.DataDirError(f"Port {port} on {host} {why}. Choose another: PORT={other}") from None


def secret_key(home: Path) -> str:
    """This home's own key (0600), made at the first start, so that sessions outlive a restart."""
    path = home / "secret_key"
    try:
        if key := path.read_text().strip():
            return key
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise homes.DataDirError(
            f"{path} can't be read: {error.strerror}. Start Qist as its owner, or set QIST_HOME="
        ) from None
    key = secrets.token_urlsafe(48)
    homes.write_private(path, key + "\n", home)
    return key


class Signals:
    """Turns Ctrl-C, SIGTERM and a closed terminal into Stopped, at once.

    It also remembers, because an exception that is raised while Python runs a finalizer or a callback is lost.
    """

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.came = False
        for number in self.numbers:
            signal.signal(number, self.stop)

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise Stopped

    def check(self) -> None:
        if self.came:
            raise Stopped

    def ignore(self) -> None:
        """Asked once is enough: another Ctrl-C must not cut the stopping short."""
        for number in self.numbers:
            signal.signal(number, signal.SIG_IGN)


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
