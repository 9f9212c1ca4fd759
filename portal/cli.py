"""The command line: `qist` is Flask's own command group (db, routes, shell) with Qist's commands added."""

import atexit
import os
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
from flask.cli import FlaskGroup, ScriptInfo, pass_script_info, routes_command, shell_command

from portal.config import ConfigError, Settings, load
from portal.errors import Refused

if TYPE_CHECKING:
    from flask import Flask

open_until_exit = ExitStack()
atexit.register(open_until_exit.close)


def settings() -> Settings:
    try:
        return load(os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def make_app() -> "Flask":
    found = settings()
    if not found.production:
        _use_this_laptops(found)
    from portal.app import create_app  # `qist dev` and --help needn't wait for the whole app

    return create_app(settings())


def _use_this_laptops(found: Settings) -> None:
    """Where no address is given, use what a running `qist dev` uses; without one, start PostgreSQL for this command."""
    try:
        from portal import dev, embedded  # production is installed without what they need
    except ModuleNotFoundError:
        return
    from portal import home as homes

    try:
        if not found.secret_key:
            homes.ensure(found.home)
            os.environ["SECRET_KEY"] = dev.secret_key(found.home)
        if not found.redis_url:
            os.environ["REDIS_URL"] = embedded.Valkey.running(found.home) or ""
        if not found.database_url:
            url = embedded.Postgres.running(found.home)
            if not url:
                open_until_exit.enter_context(homes.held(found.home))
                url = open_until_exit.enter_context(embedded.Postgres(found.home)).url
            os.environ["DATABASE_URL"] = url
    except homes.HomeError as error:
        raise click.ClickException(str(error)) from None


@click.group(cls=FlaskGroup, create_app=make_app, add_default_commands=False, add_version_option=False)
def main() -> None:
    """Qist: a Buy Now, Pay Later portal."""


main.add_command(routes_command)
main.add_command(shell_command)


@main.command(with_appcontext=False)
def dev() -> None:
    """Run everything on this laptop: database, queue, web, worker, scheduler. Ctrl-C stops it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until something is started, Ctrl-C may simply end us
    from portal import dev  # production is installed without what it needs

    sys.exit(dev.run(settings(), os.environ))


@main.command(with_appcontext=False)
def web() -> None:
    """Run the web server (gunicorn)."""
    from portal import processes

    settings()
    processes.web()


@main.command(with_appcontext=False)
@pass_script_info
def worker(info: ScriptInfo) -> None:
    """Run one worker for background jobs."""
    from portal import processes

    processes.worker(info.load_app())


@main.command(with_appcontext=False)
@pass_script_info
def scheduler(info: ScriptInfo) -> None:
    """Run the scheduler of the periodic jobs."""
    from portal import processes

    processes.scheduler(info.load_app().config["QIST"])


@main.command(with_appcontext=False)
@click.argument("what", type=click.Choice(["web", "worker", "scheduler"]))
def alive(what: str) -> None:
    """Say whether this machine's web server, worker or scheduler is at work. Exit code 1 when it is not."""
    from portal import alive  # only this command needs it

    trouble = alive.ask(what, settings())
    click.echo(f"{what} {trouble or 'is at work'}")
    sys.exit(1 if trouble else 0)


@main.command(hidden=True)
@click.option("--demo", "wanted", is_flag=True, help="Add the demo data the first time.")
def prepare(wanted: bool) -> None:
    """Bring the database up to date, as `qist dev` does before anything else starts."""
    import flask_migrate

    from portal import home as homes

    flask_migrate.upgrade()
    home = settings().home
    told = home / "demo-logins"
    if wanted and not told.exists():
        from portal.services import demo

        click.echo("adding demo data ...")
        demo.seed()
        homes.write_private(told, "Demo logins:\n" + _logins() + "\n", home)


@main.command("seed-demo")
def seed_demo() -> None:
    """Add the demo merchants, customers and plans. A second run changes nothing."""
    from portal.services import demo

    _tell(demo.seed)
    click.echo(_logins())


@main.command("create-operator")
@click.option("--username", prompt=True)
@click.option("--email", prompt=True)
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def create_operator(username: str, email: str, password: str) -> None:
    """Make an account that looks after this installation."""
    from portal.services import accounts

    _tell(accounts.create_operator, username, email, password)
    click.echo(f"{username} can sign in now.")


@main.command()
def check() -> None:
    """Check every rule that the data must keep. Exit code 1 when one is broken."""
    from portal.reports import checks

    broken = 0
    for name, count in checks.run():
        click.echo(f"{'ok' if not count else 'BROKEN':<7} {name}" + (f": {count}" if count else ""))
        broken += bool(count)
    sys.exit(1 if broken else 0)


def _logins() -> str:
    from portal.services import demo

    return "\n".join(f"  {role:<10} {name:<14} {password}" for role, name, password in demo.LOGINS)


def _tell(verb: Any, *args: Any) -> Any:
    try:
        return verb(*args)
    except Refused as error:
        raise click.ClickException(error.message) from None


if __name__ == "__main__":
    main()
