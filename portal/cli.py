"""The command line: `qist` is Flask's command group (db, routes, shell) with the commands of Qist.

A command imports the modules that it needs inside its function: `qist dev` and --help start without the application,
and production has no packages of portal/local.
"""

import atexit
import json
import os
import signal
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import FlaskGroup, ScriptInfo, pass_script_info, routes_command, shell_command

from portal import __version__
from portal.config import ConfigError, Settings, load
from portal.errors import QistError

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).resolve().parent.parent

open_until_exit = ExitStack()
atexit.register(open_until_exit.close)


def settings() -> Settings:
    try:
        return load(os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def make_app() -> "Flask":
    configured = settings()
    if not configured.production:
        _use_local_servers(configured)
    from portal.app import create_app

    return create_app(settings())


def _use_local_servers(configured: Settings) -> None:
    """Use the servers of a running `qist dev` where no address is set; else start PostgreSQL for this command."""
    try:
        from portal.local import postgres, supervisor, valkey
    except ModuleNotFoundError:
        return
    from portal.local import data_dir

    try:
        if not configured.secret_key:
            data_dir.ensure(configured.home)
            os.environ["SECRET_KEY"] = supervisor.secret_key(configured.home)
        if not configured.redis_url:
            os.environ["REDIS_URL"] = valkey.Valkey.running(configured.home) or ""
        if not configured.database_url:
            url = postgres.Postgres.running(configured.home)
            if not url:
                open_until_exit.enter_context(data_dir.locked(configured.home))
                url = open_until_exit.enter_context(postgres.Postgres(configured.home)).url
            os.environ["DATABASE_URL"] = url
    except data_dir.DataDirError as error:
        raise click.ClickException(str(error)) from None


@click.group(cls=FlaskGroup, create_app=make_app, add_default_commands=False, add_version_option=False)
@click.version_option(__version__, prog_name="Qist", message="%(prog)s %(version)s")
def main() -> None:
    """Qist: a Buy Now, Pay Later portal."""


main.add_command(routes_command)
main.add_command(shell_command)


@main.command(with_appcontext=False)
@click.option(
    "--set-aside", is_flag=True, help="Start anew if an unreleased version made the database; keep the old one."
)
def dev(set_aside: bool) -> None:
    """Run everything on this laptop: database, queue, web, worker, scheduler. Ctrl-C stops it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # before the first child starts, Ctrl-C may end the process at once
    from portal.local import supervisor

    sys.exit(supervisor.run(settings(), os.environ, set_aside=set_aside))


@main.command(with_appcontext=False)
def web() -> None:
    """Run the web server (gunicorn)."""
    settings()
    sys.stdout.flush()
    os.chdir(ROOT)
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    os.execv(sys.executable, command)  # noqa: S606 gunicorn replaces this process and keeps its signals and exit code


@main.command(with_appcontext=False)
@pass_script_info
def worker(info: ScriptInfo) -> None:
    """Run one worker for background jobs."""
    from portal.jobs import worker as worker_process

    worker_process.run(info.load_app())


@main.command(with_appcontext=False)
@pass_script_info
def scheduler(info: ScriptInfo) -> None:
    """Run the scheduler of the periodic jobs."""
    from portal.jobs import scheduler as scheduler_process

    scheduler_process.run(info.load_app().config["QIST"])


@main.command(with_appcontext=False)
@click.argument("what", type=click.Choice(["web", "worker", "scheduler"]))
def alive(what: str) -> None:
    """Health check of this machine's web server, worker or scheduler. Exit code 1 when it is not at work."""
    from portal.jobs import healthcheck

    trouble = healthcheck.check(what, settings())
    click.echo(f"{what} {trouble or 'is at work'}")
    sys.exit(1 if trouble else 0)


@main.command(hidden=True)
@click.option("--demo", is_flag=True, help="Add the demo data the first time.")
def prepare(demo: bool) -> None:
    """Migrate the database; `qist dev` runs this before it starts the other processes.

    Exit code 65 when an unreleased version made the database.
    """
    import flask_migrate

    from portal.gateways import payment
    from portal.local import data_dir
    from portal.reports.operations import revisions
    from portal.wording import installation

    if revisions.of_this_database() == "unreleased":
        click.echo(installation.refusal("unreleased"), err=True)
        sys.exit(data_dir.UNRELEASED)
    flask_migrate.upgrade()
    home = settings().home
    logins_file = home / "demo-logins"
    if demo and not logins_file.exists() and payment.active().is_simulated:
        from portal.local import demo_data

        click.echo("adding demo data ...")
        demo_data.seed()
        data_dir.write_private(logins_file, "Demo logins:\n" + _logins() + "\n", home)


@main.command("seed-demo")
def seed_demo() -> None:
    """Add the demo merchants, customers and plans. A second run changes nothing."""
    from portal.local import demo_data

    _call(demo_data.seed)
    click.echo(_logins())


@main.command("create-operator")
@click.option("--username", prompt=True)
@click.option("--email", prompt=True)
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def create_operator(username: str, email: str, password: str) -> None:
    """Create an operator's account."""
    from portal.services.accounts import accounts

    _call(accounts.create_operator, username, email, password)
    click.echo(f"{username} can sign in now.")


@main.command()
def check() -> None:
    """Check every invariant of the data. Exit code 1 when a row breaks one."""
    from portal.reports.operations import checks
    from portal.wording.checks import rule

    broken = 0
    for code, count in checks.run():
        click.echo(f"{'ok' if not count else 'BROKEN':<7} {rule(code)}" + (f": {count}" if count else ""))
        broken += bool(count)
    sys.exit(1 if broken else 0)


@main.command("erasures")
@click.option("--export", "file", type=click.File("w", encoding="utf-8"), default="-", help="The file; default stdout.")
def list_erasures(file: Any) -> None:
    """List the erased accounts, one JSON object a line, for `qist erase-again`. Keep the file beside your backups."""
    from portal.services.privacy import erasures

    for row in erasures.listed():
        names = {"user_id": row.user_id, "created_at": row.created_at, "erased_at": row.erased_at}
        file.write(json.dumps(names, default=str) + "\n")


@main.command("erase-again")
@click.argument("file", type=click.File(encoding="utf-8"))
def erase_again(file: Any) -> None:
    """After a restore: erase the accounts that `qist erasures` listed after the backup was made."""
    from portal.services.privacy import erasures

    for line in filter(str.strip, file):
        try:
            row = json.loads(line)
            user_id = int(row["user_id"])
            instants = [datetime.fromisoformat(row[name]) for name in ("created_at", "erased_at")]
        except (ValueError, TypeError, KeyError):
            raise click.ClickException(f"not a line of qist erasures: {line.strip()}") from None
        click.echo(f"{user_id}: {_call(erasures.erase_again, user_id, *instants)}")


def _logins() -> str:
    from portal.local import demo_data

    return "\n".join(f"  {role:<10} {name:<14} {password}" for role, name, password in demo_data.LOGINS)


def _call(service: Any, *args: Any) -> Any:
    from portal.wording.refusals import sentence

    try:
        return service(*args)
    except QistError as error:
        raise click.ClickException(sentence(error)) from None


if __name__ == "__main__":
    main()
