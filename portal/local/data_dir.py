"""The data folder (QIST_HOME): the files of Qist on a laptop, its owner and its lock."""

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UNRELEASED: Final = 65
"""Exit code of `qist prepare` on a database of an unreleased version (EX_DATAERR of sysexits.h)."""


class DataDirError(Exception):
    """This data folder can't be used. The message is one line, for the terminal."""


def ensure(data_dir: Path) -> None:
    """Make the data folder (0700) if it is missing. Raises DataDirError if this user can't use it."""
    try:
        if not data_dir.exists():
            data_dir.parent.mkdir(parents=True, exist_ok=True)
            data_dir.mkdir(mode=0o700)
        owner = data_dir.stat().st_uid
        usable = data_dir.is_dir() and os.access(data_dir, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        raise DataDirError(
            f"QIST_HOME {data_dir} can't be used: {error.strerror}. Choose another folder: QIST_HOME="
        ) from None
    if not usable or os.geteuid() not in (0, owner):
        raise DataDirError(
            f"QIST_HOME {data_dir} belongs to {user_name(owner)} and can't be used by {user_name(os.geteuid())}. "
            "Start Qist as that user, or choose another folder: QIST_HOME="
        )


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Lock the data folder for this process: two supervisors of one folder would stop each other's servers.

    The lock is a flock(2) on the folder itself. The kernel releases it when the process ends. Raises DataDirError if
    another process has the lock.
    """
    ensure(data_dir)
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirError(
                f"Qist is already running with QIST_HOME {data_dir}. Stop it first, or choose another: QIST_HOME= PORT="
            ) from None
        yield
    finally:
        os.close(folder)


def keep_owner(path: Path, data_dir: Path) -> None:
    """Give a file that root wrote to the owner of the data folder, so that the owner can start Qist next time."""
    if os.geteuid() == 0:
        owner = data_dir.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def write_private(path: Path, text: str, data_dir: Path) -> None:
    """Write a new file that only its owner can read (0600). Raises FileExistsError if the file exists."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
    keep_owner(path, data_dir)


def set_aside(data_dir: Path, names: tuple[str, ...], stamp: str) -> list[Path]:
    """Rename those of the files and folders that exist to <name>.before-<stamp>. Returns the new paths."""
    paths = []
    for name in names:
        if (data_dir / name).exists():
            paths.append((data_dir / name).rename(data_dir / f"{name}.before-{stamp}"))
    return paths


def unprivileged_user() -> tuple[int, int]:
    """The ids of the user and group nobody, which servers run as when root starts them."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise DataDirError("PostgreSQL doesn't run as root, and this machine has no user nobody to run it as") from None
    return entry.pw_uid, entry.pw_gid


def has_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False


def user_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name if has_name(uid) else f"user {uid}"
