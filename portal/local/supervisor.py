"""`qist dev`: the supervisor of all processes of Qist on a laptop.

honcho's Manager does not fit: a Ctrl-C during its start raises a KeyError and leaves children behind, it never kills a
child that ignores SIGTERM, it can't watch a server that is not its own child, and its helper processes outlive a killed
supervisor.

A database of an unreleased version can't be upgraded. If the user confirms it at the terminal, or passes
`--set-aside`, the supervisor renames it, never deletes it, and starts a new one.

The order of a start: lock the data folder, stop the processes of an earlier start, check the port, start PostgreSQL and
Valkey, migrate, start web, worker and scheduler. They stop in the opposite order.
"""

import contextlib
import dataclasses
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
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

import psycopg

from portal.config import Settings
from portal.domain import clock
from portal.local import data_dir
from portal.local.child_server import MARK, Server, signal_on_parent_exit
from portal.local.guardian import Guardian, end, marked
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey
from portal.reports.operations import migration_files

CHILDREN = ("web", "worker", "scheduler")
TERMINATE_SECONDS = 4.0  # for the children; with the servers' time limits less than the 10 seconds of a Ctrl-C
READY_SECONDS = 90.0
LOGS_EVERY = 300  # ticks of 0.2 seconds between two looks at the sizes of the servers' logs
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 the keys are compared, not bound
COLOURS = (36, 33, 35, 32, 34)


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. It is no Exception, so that no `except Exception` catches it."""


class Ended(Exception):
    """A child or a server has ended. `code` is the exit code of `qist dev`."""

    def __init__(self, name: str, code: int) -> None:
        ending = f"was stopped by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        super().__init__(f"{name} {ending}; everything else was stopped too.")
        self.code = 128 - code if code < 0 else code or 1


class Unreleased(Exception):
    """The database is of an unreleased version. `qist prepare` has printed the message."""


def run(settings: Settings, environ: Mapping[str, str], *, set_aside: bool = False) -> int:
    """Run until Ctrl-C, and return the exit code: 0, 1 if the start is refused, or that of the process that ended.

    `set_aside`: set a database of an unreleased version aside without a question.
    """
    if settings.production:
        return _refuse("qist dev is for development: it starts its own servers. QIST_ENV=production needs qist web.")
    output = Output()
    try:
        with data_dir.locked(settings.home):
            try:
                _supervise(settings, environ, output)
            except Unreleased:
                if settings.database_url or not (set_aside or _confirmed()):
                    return 1
                _set_aside(settings.home, output)
                _supervise(settings, environ, output)
    except Stopped:
        output.say("stopped")
        return 0
    except Ended as error:
        print(error, file=sys.stderr)
        return error.code
    except data_dir.DataDirError as error:
        return _refuse(str(error))
    return 0


def _supervise(settings: Settings, environ: Mapping[str, str], output: "Output") -> None:
    with Supervisor(settings, environ, output, Signals()) as supervisor:
        supervisor.start()
        supervisor.watch()


def _confirmed() -> bool:
    """The answer to the question at the terminal. False without a terminal."""
    if not sys.stdin.isatty():
        return False
    Signals()  # the previous supervisor ignores the signals
    try:
        return input("Set it aside and start anew? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _set_aside(folder: Path, output: "Output") -> None:
    Postgres(folder).stop()
    for path in data_dir.set_aside(folder, (Postgres.name, "demo-logins"), f"{clock.now():%Y%m%d-%H%M%S}"):
        output.write(f"qist: set aside as {path}")


class Supervisor:
    """The children and their servers. The end of the `with` block stops all of them, after an exception as well."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], output: "Output", signals: "Signals") -> None:
        self.settings = settings
        self.signals = signals
        self.output = output
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.readers: list[threading.Thread] = []
        self.servers: list[Server] = []
        self.guardian: Guardian | None = None
        self.owner_url = settings.database_owner_url
        self.environ = {
            **environ,
            # Empty, not left out: a child loads .env again, which replaces no variable that is set.
            "DATABASE_OWNER_URL": "",
            "DATABASE_OWNER_URL_FILE": "",
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
        self.end_marked(TERMINATE_SECONDS)
        for child in self.children.values():
            child.wait()
        for server in reversed(self.servers):
            server.stop(timeout=1.2)
        self.end_marked(0.1)  # a child that was being forked
        for reader in self.readers:
            reader.join(1)
        if self.guardian:
            self.guardian.stop()

    def start(self) -> None:
        """Start the servers and the children. Returns when /readyz is 200."""
        settings = self.settings
        if self.end_marked(TERMINATE_SECONDS):
            self.output.say("stopped what an earlier start had left running")
        check_port(settings.host, settings.port)
        self.guardian = Guardian((MARK, self.environ[MARK]), self.environ, data_dir=settings.home)
        if not settings.secret_key:
            self.environ["SECRET_KEY"] = secret_key(settings.home)
        if not settings.database_url:
            self.owner_url = self.serve(Postgres(settings.home, say=self.output.say))
            self.environ["DATABASE_URL"] = Postgres.application_url(self.owner_url)
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
        """Start a child in a session of its own, so that Ctrl-C does not interrupt the jobs of workers.

        Only the migration gets the address of the owner of the tables.
        """
        more = {"DATABASE_OWNER_URL": self.owner_url} if name == "prepare" and self.owner_url else {}
        child = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", name, *options],
            env=self.environ | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=signal_on_parent_exit(signal.SIGTERM),  # noqa: PLW1509 one prctl call, which takes no lock
        )
        self.children[name] = child
        assert child.stdout  # noqa: S101 it is a pipe
        reader = threading.Thread(target=self.output.relay, args=(name, child.stdout), daemon=True)
        reader.start()
        self.readers.append(reader)
        return child

    def end_marked(self, timeout: float) -> int:
        """End all processes with this supervisor's mark, work-horses of killed workers included. Returns how many."""
        guardian_pid = self.guardian.process.pid if self.guardian else None
        mark = self.environ[MARK]
        return end(lambda: [process for process in marked(MARK, mark) if process.pid != guardian_pid], timeout)

    def prepare(self) -> None:
        """Run `qist prepare`: the migrations, and the demo data if the database is embedded."""
        if not self.settings.database_url and is_prepared(self.settings.home, self.environ["DATABASE_URL"]):
            return
        self.output.say("bringing the database up to date")
        demo = [] if self.settings.database_url else ["--demo"]
        child = self.child("prepare", *demo)
        while (code := child.poll()) is None:
            self.signals.check()
            time.sleep(0.02)
        del self.children["prepare"]
        if code == data_dir.UNRELEASED:
            raise Unreleased
        if code:
            raise Ended("preparing the database", code)

    def until_ready(self) -> None:
        started_at, last = time.monotonic(), ""
        while time.monotonic() - started_at < READY_SECONDS:
            self.check()
            status, last = self.readiness()
            if status == http.HTTPStatus.OK:
                return
            time.sleep(0.05)
        raise data_dir.DataDirError(f"/readyz isn't ready after {READY_SECONDS:.0f} seconds: {last}")

    def readiness(self) -> tuple[int, str]:
        host = LOOPBACK.get(self.settings.host, self.settings.host)
        connection = http.client.HTTPConnection(host, self.settings.port, timeout=3)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return response.status, response.read(2000).decode(errors="replace").strip()
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
        for tick in itertools.count():
            self.check()
            if tick % LOGS_EVERY == 0:
                turn_over_logs(self.servers, self.output)
            time.sleep(0.2)

    def outbox_token(self) -> str:
        """The token of the outbox, with the secret key that the web server has."""
        key = self.environ.get("SECRET_KEY") or self.settings.secret_key
        settings: Settings = dataclasses.replace(self.settings, secret_key=key)
        return settings.outbox_token

    def welcome(self) -> None:
        logins = self.settings.home / "demo-logins"
        lines = ["", f"  Qist is ready: {self.settings.public_url}", ""]
        if logins.exists():
            lines += [f"  {line}".rstrip() for line in logins.read_text().splitlines()]
            if not self.settings.demo_logins_work:
                lines.append(f"  (refused on {self.settings.host}: demo logins work on 127.0.0.1 only)")
            lines.append("")
        if not self.settings.smtp_host:
            lines += ["  Mails stay in the outbox. This link opens it in a browser of this machine:"]
            lines += [f"  {self.settings.public_url}/outbox/open/{self.outbox_token()}", ""]
        self.output.write("\n".join([*lines, "  Ctrl-C stops everything.", ""]))


class Output:
    """The combined output: whole lines, each with the name of its process in front."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.colours = itertools.cycle(COLOURS)
        self.colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, text: str) -> None:
        self.write(f"qist: {text} ...")

    def write(self, text: str) -> None:
        # A closed pipe (qist dev | head) does not stop Qist.
        with self.lock, contextlib.suppress(OSError, ValueError):
            print(text, flush=True)

    def relay(self, name: str, stream: IO[bytes]) -> None:
        prefix = f"{name:<9} |"
        if self.colourful:
            prefix = f"\033[{next(self.colours)}m{prefix}\033[0m"
        for line in stream:
            self.write(f"{prefix} {line.decode(errors='replace').rstrip()}")


def turn_over_logs(servers: Iterable[Server], output: Output) -> None:
    """Turn over the log of each server. A full disk ends nothing: the log grows on until the next look."""
    for server in servers:
        try:
            server.turn_over_log()
        except OSError as error:
            output.write(f"qist: {server.log} can't be turned over: {error.strerror}")


def is_prepared(folder: Path, database_url: str) -> bool:
    """Whether `qist prepare` has nothing to do: the database is at the newest revision and has the demo data.

    A query is faster than that process, which would load the whole application.
    """
    if not (folder / "demo-logins").exists():
        return False
    query = "SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version"
    try:
        with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
            rows = connection.execute(query).fetchall()
    except psycopg.Error:
        return False
    _, newest = migration_files.revisions()
    return rows == [(revision, migration_files.BASELINE_COMMENT) for revision in newest]


def check_port(host: str, port: int) -> None:
    """Raise DataDirError if the port can't be bound."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
        other = port + 1 if port < 65535 else 8000
        raise data_dir.DataDirError(f"Port {port} on {host} {reason}. Choose another: PORT={other}") from None


def secret_key(folder: Path) -> str:
    """The secret key of the data folder (0600), made at the first start, so that sessions survive a restart."""
    path = folder / "secret_key"
    try:
        if key := path.read_text().strip():
            return key
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise data_dir.DataDirError(
            f"{path} can't be read: {error.strerror}. Start Qist as its owner, or set QIST_HOME="
        ) from None
    key = secrets.token_urlsafe(48)
    data_dir.write_private(path, key + "\n", folder)
    return key


class Signals:
    """Raises Stopped on Ctrl-C, SIGTERM and a closed terminal.

    `received` remembers the signal, because Python drops an exception that is raised in a finalizer or a callback.
    """

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.received = False
        for number in self.numbers:
            signal.signal(number, self.stop)

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        raise Stopped

    def check(self) -> None:
        if self.received:
            raise Stopped

    def ignore(self) -> None:
        """Ignore further signals, so that a second Ctrl-C does not interrupt the shutdown."""
        for number in self.numbers:
            signal.signal(number, signal.SIG_IGN)


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
