"""`qist backup` and `qist restore`: one file with all rows, in the custom format of pg_dump.

A backup appears under its name only when it is complete and was read back. A restore writes everything or nothing.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.commands.client_programs import ClientPrograms, ProgramError, fitting

DUMP: Final = ("--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=60s")
RESTORE: Final = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges")
MODE: Final = 0o600
"""The mode of the files: a backup holds personal data and digests of passwords."""
CHUNK_BYTES: Final = 1_048_576

TABLES: Final = text(
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
)
OBJECTS: Final = text(
    "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' AND relkind IN ('r', 'p', 'v', 'm', 'S')"
)


class BackupError(Exception):
    """Nothing was written: no file, no row. The message is one line, for the terminal."""


class Damaged(Exception):
    """The file is not a whole backup. The message is one line, for the terminal."""


def backup(database_url: str, file: Path) -> tuple[int, int]:
    """Write a backup of this database to a new file, and its checksum to FILE.sha256. Returns tables and bytes.

    Raises BackupError, and Damaged if what was written can't be read back.
    """
    if file.exists():
        raise BackupError(f"{file} exists already; choose another name")
    with _connected(database_url) as connection:
        tables = list(connection.scalars(TABLES))
        programs = _programs(connection)
    if not tables:
        raise BackupError("The database is empty: there is nothing to back up")
    part = file.with_name(f".{file.name}.part")
    try:
        with _new_file(part) as descriptor, os.fdopen(descriptor, "wb") as output:
            try:
                programs.run("pg_dump", *DUMP, database_url=database_url, output=output)
            except ProgramError as error:
                raise BackupError(str(error)) from None
            os.fsync(output.fileno())
        _read_back(programs, part, tables)
        checksum = _checksum(part)
        write(_checksum_file(file), f"{checksum}  {file.name}\n")
        size = part.stat().st_size
        part.rename(file)
    except OSError as error:
        raise BackupError(f"{error.filename or file}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return len(tables), size


def restore(owner_url: str, file: Path) -> None:
    """Restore a backup into this database, which must be empty. Raises BackupError and Damaged: no row was written."""
    try:
        _verify(file)
    except OSError as error:
        raise BackupError(f"{file} can't be read: {error.strerror}") from None
    with _connected(owner_url) as connection:
        count = connection.scalar(OBJECTS) or 0
        programs = _programs(connection)
    if count:
        name = make_url(owner_url).database
        raise BackupError(f"The database {name} is not empty ({count} tables and sequences): restore into a new one")
    _read_back(programs, file, ["alembic_version"])
    try:
        programs.run("pg_restore", *RESTORE, str(file), database_url=owner_url)
    except ProgramError as error:
        raise BackupError(str(error)) from None


def _read_back(programs: ClientPrograms, file: Path, tables: list[str]) -> None:
    """Read every block of a backup, and compare its contents with the tables. Raises Damaged."""
    try:
        contents = programs.run("pg_restore", "--list", str(file)).splitlines()
        programs.run("pg_restore", f"--file={os.devnull}", str(file))
    except ProgramError as error:
        raise Damaged(f"{file} is not a whole backup: {error}") from None
    held = {line.split(" TABLE DATA public ")[1].split(" ")[0] for line in contents if " TABLE DATA public " in line}
    if missing := sorted(set(tables) - held):
        raise Damaged(f"{file} lacks rows of: {', '.join(missing)}")


def _verify(file: Path) -> None:
    """Compare a backup with its checksum, if there is one. Raises Damaged and OSError."""
    checksum = _checksum(file)
    with suppress(FileNotFoundError):
        expected = _checksum_file(file).read_text().split(" ", 1)[0]
        if expected != checksum:
            raise Damaged(f"{file} does not have the checksum of {_checksum_file(file).name}: it was changed")


def _checksum_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _checksum(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write(file: Path, content: str) -> None:
    """Write a small file whole or not at all, over an older one, with mode 600."""
    part = file.with_name(f".{file.name}.part")
    with _new_file(part) as descriptor, os.fdopen(descriptor, "w") as output:
        output.write(content)
    part.rename(file)


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """A descriptor of a new file that only its owner can read. What an interrupted backup left here is removed."""
    path.unlink(missing_ok=True)
    yield os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)


@contextmanager
def _connected(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url, connect_args={"connect_timeout": 5}, hide_parameters=True)
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        reason = str(logs.database_facts(error)["reason"]).splitlines()[0]
        raise BackupError(f"The database does not answer: {reason}") from None
    finally:
        engine.dispose()


def _programs(connection: Connection) -> ClientPrograms:
    version = connection.dialect.server_version_info or (0,)
    try:
        return fitting(int(version[0]))
    except ProgramError as error:
        raise BackupError(str(error)) from None
