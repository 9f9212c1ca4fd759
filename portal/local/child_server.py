"""A server as our foreground child: found, stopped, started, waited for. What PostgreSQL and Valkey share.

- Leftovers. Whoever supervised may have been killed, so a server of this home may still run. It is found by what it is
  (a server program whose working directory is our data folder), never by what a pid file claims, and stopped first.
- Root. PostgreSQL refuses to run as root, so root's servers get an unprivileged user. That user can't walk into a home
  below /root and needn't: the working directory is entered before the privileges are dropped, and /proc/self/cwd is the
  data directory's name from then on. No permission outside QIST_HOME changes.
- Long paths. A socket's path holds 107 bytes at most, so the sockets lie in a folder of the temporary directory, made
  new for every start (so nobody can have made it before), open to its user only, and remembered in QIST_HOME.
"""

import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Self

import psutil

from portal.local import data_dir as homes

MARK = "QIST_SUPERVISOR"
"""In the environment of all that one supervisor started, by which it is found. Test runs append a name of their own."""

LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None) if LINUX else None
LONGEST_BASE = 60  # the folder's own name and the socket's bring it to at most 90 bytes
LARGEST_LOG = 5_000_000
READY_WITHIN = 60.0  # recovery after a crash replays the log first
Say = Callable[[str], None]


class ServerError(homes.DataDirError):
    """An embedded server can't run. The text is one line for the person at the terminal."""


class Server:
    """One server of one QIST_HOME. `start()` and `stop()`, or `with`."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    gentle: ClassVar[signal.Signals]
    hard: ClassVar[signal.Signals]
    socket: ClassVar[str]

    def __init__(self, home: Path, *, durable: bool = True, say: Say | None = None) -> None:
        self.home = home.absolute()
        self.data = self.home / self.name
        self.fresh = self.home / f"{self.name}.new"
        self.log = self.home / f"{self.name}.log"
        self.address = self.home / f"{self.name}.address"
        self.durable = durable
        self.say = say or (lambda _: None)
        self.folder: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.user: dict[str, Any] = {}
        self.binary = Path()

    @property
    def url(self) -> str:
        """Where clients connect. Only while it runs."""
        if self.folder is None:
            raise ServerError(f"{self.name} isn't running")
        return self.url_in(self.folder)

    @classmethod
    def url_in(cls, folder: Path) -> str:
        raise NotImplementedError

    @classmethod
    def running(cls, home: Path) -> str | None:
        """The URL of this home's server, when another process (a `qist dev`) runs it right now."""
        with contextlib.suppress(OSError):
            folder = Path((home / f"{cls.name}.address").read_text())
            if folder.name.startswith("qist-") and stat.S_ISSOCK((folder / cls.socket).stat().st_mode):
                return cls.url_in(folder)
        return None

    def start(self) -> Self:
        """Start, and return when a connection answers and the data directory behind it is ours."""
        homes.ensure(self.home)
        self._end_leftovers()
        self.user = self._runner()
        try:
            self.binary = self._settle()
            self.make_data()
            self.process = self.spawn(self.command(), self.data)
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, patience: float = 3.0) -> None:
        """Stop it: politely, then firmly, then by force; at most `patience` seconds for each of the first two."""
        found = self._found()
        if self.process and self.process.poll() is None and self.process.pid not in [one.pid for one in found]:
            found.append(psutil.Process(self.process.pid))  # somebody removed its folder under it
        self._end(found, patience)
        if self.process:
            self.process.kill()  # nothing, when it has ended
            self.process.wait()
        self._forget()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What a subclass knows about its server.

    def program(self) -> tuple[Path, tuple[str, ...]]:
        """A folder that works wherever it is copied to, and what is needed of it; the program itself comes first."""
        raise NotImplementedError

    def make_data(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Does a connection answer, and is the data directory behind it ours?"""
        raise NotImplementedError

    # Leftovers.

    def _found(self) -> list[psutil.Process]:
        found = []
        psutil.process_iter.cache_clear()  # what it remembers of a number that was given to another since is no use
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(OSError, psutil.Error):
                place = f"/proc/{process.pid}/cwd" if LINUX else process.cwd()
                if process.info["name"] in self.programs and any(
                    folder.exists() and os.path.samefile(place, folder) for folder in (self.data, self.fresh)
                ):
                    found.append(process)
        return found

    def _end(self, found: list[psutil.Process], patience: float) -> None:
        """Ask the head process only: a server's helpers end with it, or notice within moments that it is gone."""
        pids = {process.pid for process in found}
        for how in (self.gentle, self.hard, signal.SIGKILL):
            for process in found:
                with contextlib.suppress(psutil.Error):
                    if how == signal.SIGKILL or process.ppid() not in pids:
                        process.send_signal(how)
            found = still_running(found, patience)
            if not found:
                return

    def _end_leftovers(self) -> None:
        if found := self._found():
            self.say(f"stopping {self.name} of an earlier start")
            self._end(found, 3.0)
            if left := self._found():
                raise ServerError(f"{self.name} of an earlier start (pid {left[0].pid}) doesn't stop")
        self._forget()

    def _forget(self) -> None:
        """Remove the socket folder of this or an earlier start, if it is still the one that was made then."""
        folder = self.folder
        with contextlib.suppress(OSError):
            folder = folder or Path(self.address.read_text())
            there = folder.lstat()
            if folder.name.startswith("qist-") and stat.S_ISDIR(there.st_mode) and not there.st_mode & 0o077:
                shutil.rmtree(folder, ignore_errors=True)
        self.address.unlink(missing_ok=True)
        self.folder = self.process = None

    # Who runs it, and where.

    def _runner(self) -> dict[str, Any]:
        """The user as subprocess arguments: nobody special when we are root, otherwise ourselves."""
        owner = self.data.lstat() if os.path.lexists(self.data) else None
        if owner and not stat.S_ISDIR(owner.st_mode):
            raise ServerError(f"{self.data} is not a folder")
        if os.geteuid() != 0:
            if owner and owner.st_uid != os.geteuid():
                raise ServerError(
                    f"{self.data} belongs to {homes.user_name(owner.st_uid)}: Qist was started by another user here. "
                    "Start it as that user, or choose another folder: QIST_HOME="
                )
            return {}
        if not owner or owner.st_uid == 0:
            owner = self.home.stat()
        uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else homes.nobody()
        return {"user": uid, "group": gid, "extra_groups": []}

    def _settle(self) -> Path:
        """Make the socket folder; return a program that the runner can start: in place, or copied beside the socket."""
        tree, parts = self.program()
        for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108 mkdtemp below
            if not _short_and_open(Path(base), everyone=bool(self.user)):
                continue
            folder = Path(tempfile.mkdtemp(prefix="qist-", dir=base))
            self.folder = folder
            self.address.write_text(str(folder))
            homes.keep_owner(self.address, self.home)
            if self.user:
                os.chown(folder, self.user["user"], self.user["group"])
            if self._startable(tree / parts[0]):
                return tree / parts[0]
            for part in parts:
                _copy(tree / part, folder / "program" / part)
            _open_up(folder / "program")
            if self._startable(folder / "program" / parts[0]):
                return folder / "program" / parts[0]
            self._forget()
        raise ServerError(f"{self.name} can't be started: no temporary folder allows a socket and a program")

    def _startable(self, program: Path) -> bool:
        try:
            done = subprocess.run([program, "--version"], cwd="/", capture_output=True, timeout=20, **self.user)
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0

    def folder_for_runner(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.user and folder.lstat().st_uid != self.user["user"]:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.user["user"], self.user["group"], follow_symlinks=False)

    def directory(self) -> str:
        return "/proc/self/cwd" if self.user and LINUX else "."

    def spawn(self, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        """A session of its own keeps Ctrl-C from stopping the server before the workers that use it."""
        with self._open_log() as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env={**marks(os.environ), "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                preexec_fn=die_with_parent(self.gentle),  # noqa: PLW1509 one prctl call, and no other thread holds a lock
                **self.user,
            )

    def _open_log(self) -> IO[bytes]:
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        if os.fstat(fd).st_size > LARGEST_LOG:
            os.ftruncate(fd, 0)
        homes.keep_owner(self.log, self.home)
        return os.fdopen(fd, "ab")

    def _wait(self) -> None:
        assert self.process  # noqa: S101 start() has just made it
        began, told = time.monotonic(), False
        while not self.answers():
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended at once: {self.last_words()} (see {self.log})")
            waited = time.monotonic() - began
            if waited > READY_WITHIN:
                raise ServerError(f"{self.name} doesn't answer after {READY_WITHIN:.0f} seconds (see {self.log})")
            if waited > 2 and not told:
                told = True
                self.say(f"waiting for {self.name}")
            time.sleep(0.02 if waited < 1 else 0.2)

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        telling = [line for line in lines[-20:] if re.search(r"fatal|panic|error|can't|failed", line, re.IGNORECASE)]
        return re.sub(r"^[\d: .-]+UTC \[\d+\] ", "", (telling or lines or ["no reason given"])[-1]).strip()


def still_running(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Wait until they have ended, and return those that haven't."""
    deadline = time.monotonic() + patience
    while (processes := [one for one in processes if not has_ended(one)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return processes


def marks(environ: Mapping[str, str]) -> dict[str, str]:
    """The marks of those that supervise this process, for a child that gets an environment of its own."""
    return {name: value for name, value in environ.items() if name.startswith(MARK)}


def has_ended(process: psutil.Process) -> bool:
    """A zombie has: in containers there is often nobody who would take it away."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _short_and_open(base: Path, *, everyone: bool) -> bool:
    """Can a socket's path start here? The unprivileged user of a root start must be able to walk in."""
    fits = len(os.fsencode(base)) <= LONGEST_BASE and re.fullmatch(r"/[\w/.+-]*", str(base), re.ASCII)
    if not fits or not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        return False
    return not everyone or all(folder.stat().st_mode & stat.S_IXOTH for folder in (base, *base.parents))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _open_up(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))


def die_with_parent(how: signal.Signals) -> Callable[[], object] | None:
    """Linux can tell a child when its parent is gone. A help only: the next start finds leftovers on its own."""
    if LIBC is None:
        return None
    return lambda: LIBC.prctl(1, int(how))


def package_folder(name: str) -> Path:
    """Folder of an installed Python package. Raises ServerError when the package is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(
            "The embedded servers aren't installed: pip install -r requirements-local.lock, "
            "or set DATABASE_URL= and REDIS_URL="
        )
    return Path(spec.submodule_search_locations[0])
