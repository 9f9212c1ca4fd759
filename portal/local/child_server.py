"""The base class of the embedded PostgreSQL and Valkey: a server as a foreground child process.

- Leftovers. A killed supervisor leaves its servers running. `start` finds such a server by its program and its working
  directory, never by a pid file, and stops it first.
- Root. PostgreSQL refuses to run as root, so root's servers run as an unprivileged user. That user needs no access to
  a data folder below /root: the working directory is entered before the privileges are dropped, and the server names
  it /proc/self/cwd. No permission outside the data folder changes.
- Long paths. A socket's path has at most 107 bytes, so the sockets are in a folder of the temporary directory. Each
  start makes a new folder, which only its user can open. A file in the data folder holds its path.
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

from portal.local import data_dir

MARK = "QIST_SUPERVISOR"
"""The environment variable that marks each process of one supervisor. A test run appends a name of its own."""

LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None) if LINUX else None
MAX_BASE_BYTES = 60  # with the names of the folder and of the socket at most 90 bytes
MAX_LOG_BYTES = 5_000_000
READY_SECONDS = 60.0  # recovery after a crash replays the log first
Say = Callable[[str], None]


class ServerError(data_dir.DataDirError):
    """An embedded server can't run. The message is one line, for the terminal."""


class Server:
    """One server of one data folder. It runs from `start()` to `stop()`, or inside a `with` block."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    stop_signal: ClassVar[signal.Signals]
    force_signal: ClassVar[signal.Signals]
    socket: ClassVar[str]

    def __init__(self, folder: Path, *, durable: bool = True, say: Say | None = None) -> None:
        self.data_dir = folder.absolute()
        self.files = self.data_dir / self.name
        self.new_files = self.data_dir / f"{self.name}.new"
        self.log = self.data_dir / f"{self.name}.log"
        self.address = self.data_dir / f"{self.name}.address"
        self.durable = durable
        self.say = say or (lambda _: None)
        self.socket_dir: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.user: dict[str, Any] = {}
        self.binary = Path()

    @property
    def url(self) -> str:
        """The URL for clients. Raises ServerError if the server does not run."""
        if self.socket_dir is None:
            raise ServerError(f"{self.name} isn't running")
        return self.url_in(self.socket_dir)

    @classmethod
    def url_in(cls, socket_dir: Path) -> str:
        raise NotImplementedError

    @classmethod
    def running(cls, folder: Path) -> str | None:
        """The URL of the server of this data folder, if another process (`qist dev`) runs it, or None."""
        with contextlib.suppress(OSError):
            socket_dir = Path((folder / f"{cls.name}.address").read_text())
            if socket_dir.name.startswith("qist-") and stat.S_ISSOCK((socket_dir / cls.socket).stat().st_mode):
                return cls.url_in(socket_dir)
        return None

    def start(self) -> Self:
        """Start the server. Returns when it accepts connections for the files of this data folder."""
        data_dir.ensure(self.data_dir)
        self._end_leftovers()
        self.user = self._user_options()
        try:
            self.binary = self._prepare_program()
            self.make_data()
            self.process = self.spawn(self.command(), self.files)
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, timeout: float = 3.0) -> None:
        """Send `stop_signal`, then `force_signal`, then SIGKILL. Waits at most `timeout` seconds after each."""
        processes = self._find_processes()
        if self.process and self.process.poll() is None and self.process.pid not in [p.pid for p in processes]:
            processes.append(psutil.Process(self.process.pid))  # its folder was removed
        self._end(processes, timeout)
        if self.process:
            self.process.kill()  # no effect on a process that has ended
            self.process.wait()
        self._remove_socket_dir()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Each subclass defines its server.

    def program(self) -> tuple[Path, tuple[str, ...]]:
        """A relocatable folder, and the paths in it that the server needs, the program first."""
        raise NotImplementedError

    def make_data(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether the server accepts connections and serves the files of this data folder."""
        raise NotImplementedError

    # Leftovers.

    def _find_processes(self) -> list[psutil.Process]:
        """Server programs whose working directory is that of this server."""
        processes = []
        psutil.process_iter.cache_clear()  # a process id may belong to another process by now
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(OSError, psutil.Error):
                working_dir = f"/proc/{process.pid}/cwd" if LINUX else process.cwd()
                if process.info["name"] in self.programs and any(
                    folder.exists() and os.path.samefile(working_dir, folder) for folder in (self.files, self.new_files)
                ):
                    processes.append(process)
        return processes

    def _end(self, processes: list[psutil.Process], timeout: float) -> None:
        """Signal the main process only: a server's child processes end with it. SIGKILL goes to all of them."""
        pids = {process.pid for process in processes}
        for number in (self.stop_signal, self.force_signal, signal.SIGKILL):
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    if number == signal.SIGKILL or process.ppid() not in pids:
                        process.send_signal(number)
            processes = still_running(processes, timeout)
            if not processes:
                return

    def _end_leftovers(self) -> None:
        if processes := self._find_processes():
            self.say(f"stopping {self.name} of an earlier start")
            self._end(processes, 3.0)
            if processes := self._find_processes():
                raise ServerError(f"{self.name} of an earlier start (pid {processes[0].pid}) doesn't stop")
        self._remove_socket_dir()

    def _remove_socket_dir(self) -> None:
        """Remove the socket folder of this or of an earlier start, if it is a folder with Qist's name and mode."""
        socket_dir = self.socket_dir
        with contextlib.suppress(OSError):
            socket_dir = socket_dir or Path(self.address.read_text())
            mode = socket_dir.lstat().st_mode
            if socket_dir.name.startswith("qist-") and stat.S_ISDIR(mode) and not mode & 0o077:
                shutil.rmtree(socket_dir, ignore_errors=True)
        self.address.unlink(missing_ok=True)
        self.socket_dir = self.process = None

    # The user and the program.

    def _user_options(self) -> dict[str, Any]:
        """The server's user as options of subprocess.Popen: an unprivileged user for root, otherwise no options."""
        owner = self.files.lstat() if os.path.lexists(self.files) else None
        if owner and not stat.S_ISDIR(owner.st_mode):
            raise ServerError(f"{self.files} is not a folder")
        if os.geteuid() != 0:
            if owner and owner.st_uid != os.geteuid():
                raise ServerError(
                    f"{self.files} belongs to {data_dir.user_name(owner.st_uid)}: Qist was started by another user "
                    "here. Start it as that user, or choose another folder: QIST_HOME="
                )
            return {}
        if not owner or owner.st_uid == 0:
            owner = self.data_dir.stat()
        uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else data_dir.unprivileged_user()
        return {"user": uid, "group": gid, "extra_groups": []}

    def _prepare_program(self) -> Path:
        """Make the socket folder. Returns a program that the server's user can start, copied there if necessary."""
        tree, parts = self.program()
        for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108 mkdtemp below
            if not _can_hold_socket(Path(base), everyone=bool(self.user)):
                continue
            socket_dir = Path(tempfile.mkdtemp(prefix="qist-", dir=base))
            self.socket_dir = socket_dir
            self.address.write_text(str(socket_dir))
            data_dir.keep_owner(self.address, self.data_dir)
            if self.user:
                os.chown(socket_dir, self.user["user"], self.user["group"])
            if self._is_startable(tree / parts[0]):
                return tree / parts[0]
            for part in parts:
                _copy(tree / part, socket_dir / "program" / part)
            _make_readable(socket_dir / "program")
            if self._is_startable(socket_dir / "program" / parts[0]):
                return socket_dir / "program" / parts[0]
            self._remove_socket_dir()
        raise ServerError(f"{self.name} can't be started: no temporary folder allows a socket and a program")

    def _is_startable(self, program: Path) -> bool:
        try:
            result = subprocess.run([program, "--version"], cwd="/", capture_output=True, timeout=20, **self.user)
        except (OSError, subprocess.SubprocessError):
            return False
        return result.returncode == 0

    def make_folder(self, folder: Path) -> None:
        """Make a folder (0700) of the server's user, who also gets the files in an existing one."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.user and folder.lstat().st_uid != self.user["user"]:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.user["user"], self.user["group"], follow_symlinks=False)

    def working_dir_name(self) -> str:
        """The working directory's path for the server, valid without access to its parents."""
        return "/proc/self/cwd" if self.user and LINUX else "."

    def spawn(self, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own, so that Ctrl-C does not stop the server before its clients."""
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
                preexec_fn=signal_on_parent_exit(self.stop_signal),  # noqa: PLW1509 one prctl call, and no other thread holds a lock
                **self.user,
            )

    def turn_over_log(self) -> None:
        """Move the lines of a log of more than MAX_LOG_BYTES to `<name>.log.old`. The server writes on in the log."""
        fd = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "a+b") as log:
            if os.fstat(fd).st_size <= MAX_LOG_BYTES:
                return
            old = self.log.with_name(f"{self.log.name}.old")
            old.unlink(missing_ok=True)
            with os.fdopen(os.open(old, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                log.seek(0)
                shutil.copyfileobj(log, copy)
            os.ftruncate(fd, 0)
        data_dir.keep_owner(old, self.data_dir)

    def _open_log(self) -> IO[bytes]:
        self.turn_over_log()
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        data_dir.keep_owner(self.log, self.data_dir)
        return os.fdopen(fd, "ab")

    def _wait(self) -> None:
        assert self.process  # noqa: S101 start() has set it
        started_at, announced = time.monotonic(), False
        while not self.is_ready():
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended at once: {self.last_error()} (see {self.log})")
            waited = time.monotonic() - started_at
            if waited > READY_SECONDS:
                raise ServerError(f"{self.name} doesn't answer after {READY_SECONDS:.0f} seconds (see {self.log})")
            if waited > 2 and not announced:
                announced = True
                self.say(f"waiting for {self.name}")
            time.sleep(0.02 if waited < 1 else 0.2)

    def last_error(self) -> str:
        """The newest line of the log that reports an error."""
        lines = self.log.read_text(errors="replace").splitlines()
        errors = [line for line in lines[-20:] if re.search(r"fatal|panic|error|can't|failed", line, re.IGNORECASE)]
        return re.sub(r"^[\d: .-]+UTC \[\d+\] ", "", (errors or lines or ["no reason given"])[-1]).strip()


def still_running(processes: list[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait at most `timeout` seconds for the processes to end. Returns those that still run."""
    deadline = time.monotonic() + timeout
    while (processes := [process for process in processes if not has_ended(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return processes


def marks(environ: Mapping[str, str]) -> dict[str, str]:
    """The marks of this process's supervisors, for the environment of a child."""
    return {name: value for name, value in environ.items() if name.startswith(MARK)}


def has_ended(process: psutil.Process) -> bool:
    """Whether the process has ended. A zombie has: containers often run no init process that would reap it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _can_hold_socket(base: Path, *, everyone: bool) -> bool:
    """Whether a socket's folder can be here. `everyone`: an unprivileged user must be able to enter it."""
    fits = len(os.fsencode(base)) <= MAX_BASE_BYTES and re.fullmatch(r"/[\w/.+-]*", str(base), re.ASCII)
    if not fits or not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        return False
    return not everyone or all(folder.stat().st_mode & stat.S_IXOTH for folder in (base, *base.parents))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _make_readable(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))


def signal_on_parent_exit(number: signal.Signals) -> Callable[[], object] | None:
    """A preexec_fn after which Linux sends the child this signal when its parent ends (PR_SET_PDEATHSIG).

    None on other systems. No code relies on it: the next start finds leftovers.
    """
    if LIBC is None:
        return None
    return lambda: LIBC.prctl(1, int(number))


def package_folder(name: str) -> Path:
    """The folder of an installed Python package. Raises ServerError if the package is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(
            "The embedded servers aren't installed: pip install -r requirements-local.lock, "
            "or set DATABASE_URL= and REDIS_URL="
        )
    return Path(spec.submodule_search_locations[0])
