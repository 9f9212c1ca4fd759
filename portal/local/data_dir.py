"""QIST_HOME: the folder of one laptop's Qist, and who may use it."""

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UNRELEASED: Final = 65
"""Exit code of `qist prepare` on a database that an unreleased version made (sysexits' EX_DATAERR)."""


class DataDirError(Exception):
    """This QIST_HOME can't be used. The text is one line for the person at the terminal."""


def ensure(home: Path) -> None:
    """Make QIST_HOME (0700) where it is missing; refuse one that this user can't use."""
    try:
        if not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            home.mkdir(mode=0o700)
        owner = home.stat().st_uid
        usable = home.is_dir() and os.access(home, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        raise DataDirError(
            f"QIST_HOME {home} can't be used: {error.strerror}. Choose another folder: QIST_HOME="
        ) from None
    if not usable or os.geteuid() not in (0, owner):
        raise DataDirError(
            f"QIST_HOME {home} belongs to {user_name(owner)} and can't be used by {user_name(os.geteuid())}. "
            "Start Qist as that user, or choose another folder: QIST_HOME="
        )


@contextlib.contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold QIST_HOME for this process: two supervisors on one home would stop each other's servers.

    The lock is on the folder itself and the kernel's own, so it ends with the process and can't be stale.
    """
    ensure(home)
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirError(
                f"Qist is already running with QIST_HOME {home}. Stop it first, or choose another: QIST_HOME= PORT="
            ) from None
        yield
    finally:
        os.close(folder)


def keep_owner(path: Path, home: Path) -> None:
    """What root writes into somebody's QIST_HOME belongs to that somebody, who may start Qist the next time."""
    if os.geteuid() == 0:
        owner = home.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def write_private(path: Path, text: str, home: Path) -> None:
    """Make a new file that only its owner can read (0600); FileExistsError when it is there."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
    keep_owner(path, home)


def set_aside(home: Path, names: tuple[str, ...], stamp: str) -> list[Path]:
    """Rename what exists of these files and folders to <name>.before-<stamp>. Returns the new paths."""
    moved = []
    for name in names:
        if (home / name).exists():
            moved.append((home / name).rename(home / f"{name}.before-{stamp}"))
    return moved


def nobody() -> tuple[int, int]:
    """The unprivileged user and group that servers run as when root starts them."""
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
