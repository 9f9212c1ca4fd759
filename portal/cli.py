"""The command line: `qist` is Flask's command group (db, routes, shell) with the commands of Qist.

A command imports the modules that it needs inside its function: `qist dev` and --help start without the application,
and production has no packages of portal/local.
"""

import atexit
import gc
import json
import os
import signal
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import FlaskGroup, routes_command, shell_command

from portal import __version__
from portal.commands import cli as data
from portal.commands.cli import called, erase_again, list_erasures, listen
from portal.config import NEEDED_BY_SCHEDULER, REQUIRED_IN_PRODUCTION, ConfigError, Settings, load

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).resolve().parent.parent
open_until_exit = ExitStack()
atexit.register(open_until_exit.close)


def settings(needed: tuple[str, ...] = REQUIRED_IN_PRODUCTION) -> Settings:
    try:
        return load(os.environ, needed=needed)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def settings_with_servers(needed: tuple[str, ...] = REQUIRED_IN_PRODUCTION) -> Settings:
    """The settings, with the addresses of the local servers where none are set."""
    configured = settings(needed)
    if configured.production or (configured.secret_key and configured.database_url and configured.redis_url):
        return configured
    _use_local_servers(configured)
    return settings()


def make_app() -> "Flask":
    """The application of a process that serves or works."""
    configured = settings_with_servers()
    from portal.app import create_app

    return create_app(configured)


def make_app_with_migrations() -> "Flask":
    """The application of all other commands."""
    app = make_app()
    from portal.app import bind_migrations

    bind_migrations(app)
    return app


class Commands(FlaskGroup):
    """Finds the commands of Qist before Flask loads those of its extensions, which takes a tenth of a second."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return click.Group.get_command(self, ctx, name) or super().get_command(ctx, name)


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
            os.environ |= {"DATABASE_OWNER_URL": url, "DATABASE_URL": postgres.Postgres.application_url(url)}
    except data_dir.DataDirError as error:
        raise click.ClickException(str(error)) from None


@click.group(cls=Commands, create_app=make_app_with_migrations, add_default_commands=False, add_version_option=False)
@click.version_option(__version__, prog_name="Qist", message="%(prog)s %(version)s")
def main() -> None:
    """Qist: a Buy Now, Pay Later portal."""


for command in (
    routes_command,
    shell_command,
    data.backup,
    data.restore,
    data.check,
    list_erasures,
    erase_again,
    listen,
):
    main.add_command(command)


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
def worker() -> None:
    """Run one worker for background jobs."""
    gc.disable()  # as wsgi.py does; `worker_process.run` turns it on
    from portal.jobs import worker as worker_process

    configured = settings_with_servers()
    from portal.job_app import create_job_app, log_findings, refuse_old_database

    app = create_job_app(configured)
    refuse_old_database(app)
    log_findings(app)
    worker_process.run(app)


@main.command(with_appcontext=False)
def scheduler() -> None:
    """Run the scheduler of the periodic jobs, which needs no application.

    Without local servers it replaces this process, as gunicorn does, because Flask's commands hold 17 MB.
    """
    if settings(NEEDED_BY_SCHEDULER).redis_url:
        os.execv(sys.executable, [sys.executable, "-m", "portal.jobs.scheduler"])  # noqa: S606 keeps signals and code
    from portal.jobs import scheduler as scheduler_process

    scheduler_process.serve(settings_with_servers(NEEDED_BY_SCHEDULER))


@main.command(with_appcontext=False)
@click.argument("what", type=click.Choice(["web", "worker", "scheduler"]))
def alive(what: str) -> None:
    """Health check of this machine's web server, worker or scheduler. Exit code 1 when it is not at work."""
    from portal.jobs import healthcheck

    configured = settings(NEEDED_BY_SCHEDULER if what == "scheduler" else REQUIRED_IN_PRODUCTION)
    if not configured.redis_url:
        with suppress(ModuleNotFoundError):
            from portal.local import valkey

            configured = replace(configured, redis_url=valkey.Valkey.running(configured.home))
    trouble = healthcheck.check(what, configured)
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
    from portal.reports.operations import revisions, roles
    from portal.wording import installation

    with roles.owner_engine() as engine, engine.connect() as connection:
        state = revisions.state(connection)
    if state == "unreleased":
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
@click.option("--yes", is_flag=True, help="In production: don't ask.")
def seed_demo(yes: bool) -> None:
    """Add the demo merchants, customers and plans. A second run changes nothing. Asks first in production."""
    from portal.local import demo_data

    if settings().production and not yes:
        click.confirm("This is production. Add demo accounts, whose passwords are public, and their plans?", abort=True)
    called(demo_data.seed)
    click.echo(_logins())


@main.command("create-operator")
@click.option("--username", prompt=True)
@click.option("--email", prompt=True)
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def create_operator(username: str, email: str, password: str) -> None:
    """Create an operator's account."""
    from portal.services.accounts import accounts

    called(accounts.create_operator, username, email, password)
    click.echo(f"{username} can sign in now.")


@main.command()
@click.option("--operator", prompt="Operator's username", help="The username of the operator.")
@click.option("--operator-email", prompt="Operator's email")
@click.option("--owner", prompt="Owner's username", help="The username of the owner of the first business.")
@click.option("--owner-email", prompt="Owner's email")
@click.option("--business", prompt="Business name")
@click.option("--currency", prompt="Home currency", default="USD", show_default=True, help="ISO 4217, such as SAR.")
@click.option("--time-zone", prompt="Time zone", default="UTC", show_default=True, help="IANA, such as Asia/Riyadh.")
def setup(
    operator: str, operator_email: str, owner: str, owner_email: str, business: str, currency: str, time_zone: str
) -> None:
    """Set up a fresh installation: an operator, the first business, and a one-time link for each of the two people."""
    from portal.services.operations import setup as setups

    new = setups.Installation(operator, operator_email, owner, owner_email, business, currency, time_zone)
    tokens = called(setups.set_up, new)
    click.echo(f"{business} is ready. Each link sets a password once, within a day:")
    click.echo(f"  operator {operator}: {_reset_url(tokens.operator)}")
    click.echo(f"  owner {owner}: {_reset_url(tokens.owner)}")


@main.command("sign-in-link")
@click.argument("login")
def sign_in_link(login: str) -> None:
    """Print a link that sets a new password for the account LOGIN (a username or an email), once, within an hour."""
    from portal.services.accounts import password_resets

    click.echo(_reset_url(called(password_resets.make_for, login)))


@main.command()
@click.argument("login", required=False)
@click.option("--merchant", type=int, help="The id of a business, in place of an account.")
@click.option("--reason", prompt=True, help="For the person or the owners, and the other operators.")
def deactivate(login: str | None, merchant: int | None, reason: str) -> None:
    """Deactivate the account LOGIN (a username or an email), or the business --merchant ID."""
    from portal.services.operations import account_deactivations, merchant_deactivations

    _act(login, merchant, reason, account_deactivations.deactivate, merchant_deactivations.deactivate)
    click.echo("Deactivated.")


@main.command()
@click.argument("login", required=False)
@click.option("--merchant", type=int, help="The id of a business, in place of an account.")
@click.option("--reason", prompt=True, help="For the person or the owners, and the other operators.")
def reactivate(login: str | None, merchant: int | None, reason: str) -> None:
    """Reactivate the account LOGIN (a username or an email), or the business --merchant ID."""
    from portal.services.operations import account_deactivations, merchant_deactivations

    _act(login, merchant, reason, account_deactivations.reactivate, merchant_deactivations.reactivate)
    click.echo("Reactivated.")


@main.command()
@click.argument("login")
@click.option("--reason", prompt=True, help="For the operators.")
def remove_factors(login: str, reason: str) -> None:
    """Remove the lost second factors of the account LOGIN, 24 hours from now, unless its mailed link stops it."""
    from portal.services.accounts import accounts
    from portal.services.operations import lost_factors

    user_id = called(accounts.find_login, login)
    called(lost_factors.ask, user_id, actor=None, reason=reason)
    click.echo("The account is told by mail. Its second factors end in 24 hours.")


@main.command()
def status() -> None:
    """Print the figures of the operator's page as JSON, without addresses of mails and traces of jobs."""
    from portal.reports.operations import background, health

    click.echo(json.dumps(background.status(health.check(thorough=True)), indent=2, default=datetime.isoformat))


@main.command()
@click.option("--mail", "address", metavar="ADDRESS", help="Send a test mail to this address.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array: part, code, level, sentence.")
def doctor(address: str | None, as_json: bool) -> None:
    """Examine the installation: address, gateway, database, Valkey, clocks, mail server. Exit code 1 on an error."""
    from portal.services.maintenance import doctor as examination
    from portal.wording.doctor import MAIL_SUBJECT, MAIL_TEXT, sentence

    mail = examination.SampleMail(address, MAIL_SUBJECT, MAIL_TEXT) if address else None
    findings = examination.examine(mail=mail)
    if as_json:
        names = ("part", "code", "level")
        lines = [
            {name: getattr(found, name) for name in names}
            | {"sentence": sentence(found.part, found.code, found.facts), "facts": found.facts}
            for found in findings
        ]
        click.echo(json.dumps(lines, indent=2))
    for found in [] if as_json else findings:
        click.echo(f"{found.level:<8}{found.part}: {sentence(found.part, found.code, found.facts)}")
    sys.exit(1 if any(found.level == "error" for found in findings) else 0)


def _logins() -> str:
    from portal.local import demo_data

    return "\n".join(f"  {role:<10} {name:<14} {password}" for role, name, password in demo_data.LOGINS)


def _act(login: str | None, merchant: int | None, reason: str, on_account: Any, on_merchant: Any) -> None:
    """Call the service function of an account or of a business, as the command line."""
    from portal.services.accounts import accounts

    if (login is None) == (merchant is None):
        raise click.UsageError("Name an account, or --merchant with the id of a business.")
    if merchant is not None:
        called(on_merchant, merchant, actor=None, reason=reason)
    else:
        called(on_account, called(accounts.find_login, login), actor=None, reason=reason)


def _reset_url(token: str) -> str:
    from flask import current_app

    return f"{current_app.config['QIST'].public_url}/password-resets/{token}"


if __name__ == "__main__":
    main()
