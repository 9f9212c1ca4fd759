"""The commands about all data of an installation: backup, restore, check, and the list of erasures.

Like portal/cli.py, a command imports the modules that it needs inside its function.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from flask.cli import with_appcontext

if TYPE_CHECKING:
    from portal.commands.erasure_lists import Erased

T = TypeVar("T")

COULD_NOT: Final = 2
"""Exit code when a command could not begin or finish. 1 stands for bad data: a damaged file, a broken rule."""


def called(service: Any, *args: Any, **options: Any) -> Any:
    """Call a service function. A refusal ends the command with its sentences."""
    from portal.errors import Invalid, QistError
    from portal.wording.refusals import fault_sentence, sentence

    try:
        return service(*args, **options)
    except Invalid as invalid:
        lines = [f"{fault.field}: {fault_sentence(fault)}" for fault in invalid.faults]
        raise click.ClickException("\n".join(lines)) from None
    except QistError as error:
        raise click.ClickException(sentence(error)) from None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the broken rows by rule.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="Only plans that changed since (UTC).")
@with_appcontext
def check(as_json: bool, since: datetime | None) -> None:
    """Check every invariant of the data, and compare it with the payment gateway's record.

    With --since check the plans that had an event or a payment since that day, without the gateway's record: quick, for
    every night. The full check finds what was changed without an event, too.

    Exit code 0 when all hold, 1 when a row breaks one, 2 when the database is away or not migrated.
    """
    sys.exit(_check(as_json=as_json, since=since))


def _check(*, as_json: bool, since: datetime | None = None) -> int:
    """Print each rule with the number of rows that break it. Returns the exit code."""
    from sqlalchemy.exc import SQLAlchemyError

    from portal.reports.operations import checks, revisions
    from portal.services.maintenance import last_check
    from portal.wording import installation
    from portal.wording.checks import rule

    try:
        state = revisions.of_this_database()
        if state == "too_old":
            return _could_not(installation.refusal(state))
        if state in ("behind", "unreleased"):
            return _could_not(f"Migrations: {installation.PROBLEMS[state]}")
        counts = dict(checks.run_recent(since.replace(tzinfo=UTC)) if since else checks.run(checks.AT_ONCE))
        if since is None:
            last_check.remember(counts.values())
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        return _could_not(f"The database does not answer: {cause[0] if cause else type(error).__name__}")
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for code, count in counts.items():
            click.echo(f"{'ok' if not count else 'BROKEN':<7} {rule(code)}" + (f": {count}" if count else ""))
    return 1 if any(counts.values()) else 0


@click.command("erasures")
@click.option("--export", "file", type=click.Path(path_type=Path), default="-", help="The file; default stdout.")
@with_appcontext
def list_erasures(file: Path) -> None:
    """List the erased accounts, one JSON object a line, for `qist restore`. Keep the file beside your backups.

    The file has mode 600. A list that can't be read from the database leaves the file of before as it is: exit code 2.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from portal.commands import backups, erasure_lists

    try:
        lines = "".join(erasure_lists.written())
        if str(file) == "-":
            click.echo(lines, nl=False)
        else:
            backups.write(file, lines)
    except (SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        sys.exit(_could_not(f"Error: no list was written: {cause[0] if cause else type(error).__name__}"))


@click.command("erase-again")
@click.argument("file", type=click.File(encoding="utf-8"))
@with_appcontext
def erase_again(file: Any) -> None:
    """After a restore: erase the accounts that `qist erasures` listed after the backup was made."""
    from portal.commands import erasure_lists

    try:
        erased = erasure_lists.read(file)
    except erasure_lists.NotAList as error:
        raise click.ClickException(str(error)) from None
    _erase_again(erased)


def _erase_again(erased: "list[Erased]") -> None:
    from portal.services.privacy import erasures

    for row in erased:
        names = row.user_id, row.created_at, row.erased_at, row.email_hash
        click.echo(f"{row.user_id}: {called(erasures.erase_again, *names)}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_appcontext
def backup(file: Path) -> None:
    """Write a backup of the database to the new FILE, read it back, and write its checksum to FILE.sha256.

    FILE has mode 600 and appears when it is complete. It holds personal data: store it encrypted, on another machine.
    Exit code 0 when FILE is complete, 1 when what was written can't be read back, 2 when it could not be written.
    """
    from portal.commands import backups

    tables, size = _carry_out(lambda: backups.backup(_owner_url(), file))
    click.echo(f"{file}: {tables} tables, {size} bytes, read back. Keep it with qist erasures --export.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--erasures", "erased_file", type=click.File(encoding="utf-8"), help="The newest list of qist erasures.")
@click.option("--no-erasures", is_flag=True, help="Without a list: people erased after the backup come back.")
@with_appcontext
def restore(file: Path, erased_file: Any, no_erasures: bool) -> None:
    """Restore FILE into an empty database, migrate it, erase again the people of the list, and check every rule.

    Exit code 0 when all rules hold, 1 when FILE is damaged or a row breaks a rule, 2 when nothing could be restored.
    """
    import flask_migrate

    from portal.commands import backups, erasure_lists

    if (erased_file is None) != no_erasures:
        raise click.UsageError("Give either --erasures FILE, the newest list of qist erasures, or --no-erasures.")
    try:
        erased = erasure_lists.read(erased_file or ())
    except erasure_lists.NotAList as error:
        sys.exit(_could_not(f"Error: {error}"))
    _carry_out(lambda: backups.restore(_owner_url(), file))
    click.echo(f"{file}: restored")
    flask_migrate.upgrade()
    _erase_again(erased)
    sys.exit(_check(as_json=False))


@click.command()
@click.argument("url")
@click.option(
    "--from",
    "address",
    envvar="QIST_URL",
    required=True,
    help="The installation, such as https://pay.example.org. Also QIST_URL.",
)
@click.option(
    "--key-file",
    envvar="QIST_API_KEY_FILE",
    type=click.Path(path_type=Path),
    help="A file with the API key; without it, QIST_API_KEY.",
)
@click.option("--types", help="Only these types of events, with commas between them.")
@click.option("--plan", type=click.IntRange(min=1), help="Only events of the plan with this id.")
@click.option("--from-start", is_flag=True, help="Without a state: begin with the first event, not with the next one.")
@click.option(
    "--every", type=click.FloatRange(0.1, 300), default=2.0, show_default=True, help="Seconds between two looks."
)
@click.option(
    "--state",
    "state_file",
    type=click.Path(path_type=Path),
    default=Path(".qist-listen"),
    show_default=True,
    help="The file with the place in the feed and the signing secret.",
)
def listen(
    url: str,
    address: str,
    key_file: Path | None,
    types: str | None,
    plan: int | None,
    from_start: bool,
    every: float,
    state_file: Path,
) -> None:
    """Forward the events of a business to URL, a server on this machine, as signed webhooks. Ctrl-C stops it.

    The API key comes from QIST_API_KEY, or from a file; it reads, and needs no permission. The next run goes on where
    this one stopped. WEBHOOK_SECRET replaces the signing secret that is printed.
    """
    from portal.commands import listening
    from portal.gateways.event_feed import EventFeed, FeedError

    try:
        secret = listening.check_secret(os.environ.get("WEBHOOK_SECRET"))
        options = listening.Options(url, types, plan, secret, every, from_start)
        listening.check_target(url)
        key = listening.read_key(key_file, os.environ.get("QIST_API_KEY"))
        with EventFeed(address, key, types=types, plan=plan) as feed, listening.StateFile(state_file) as file:
            listening.listen(feed, file, options, click.echo)
    except FeedError as error:
        raise click.ClickException(listening.NO_EVENTS[error.code]) from None
    except listening.ListeningError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped")


def _carry_out(act: Callable[[], T]) -> T:
    """The result of a backup or a restore. A failure ends the command with one line."""
    from portal.commands import backups

    try:
        return act()
    except backups.Damaged as error:
        raise click.ClickException(str(error)) from None
    except backups.BackupError as error:
        sys.exit(_could_not(f"Error: {error}"))


def _could_not(line: str) -> int:
    click.echo(line, err=True)
    return COULD_NOT


def _owner_url() -> str:
    """The address of the database for a role that may read and make every table."""
    from flask import current_app

    settings = current_app.config["QIST"]
    return str(settings.database_owner_url or settings.database_url)
