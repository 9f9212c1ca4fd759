"""The internal port: /metrics for Prometheus, and /readyz with the kind of each failure.

Each web server, worker and scheduler of a machine tries to bind the port, and the first one serves for all of them:
they count in one folder, and the rest is read from PostgreSQL and Valkey. When that process ends, another takes over
within seconds.
"""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import structlog

from portal import __version__, counters
from portal.config import Settings
from portal.metrics.figures import Part, Reader

if TYPE_CHECKING:
    from prometheus_client import Metric

log = structlog.get_logger(__name__)

BIND_EVERY: Final = 5.0
"""Seconds between two attempts to take the port that another process of this machine has."""
MAX_AT_ONCE: Final = 8
"""Requests at once. More are refused with 503."""
READ_SECONDS: Final = 5.0
"""Seconds that a client may take to send its request, or to read the answer."""
KNOWN: Final = {
    "qist_mails": ("Mails by state; held_up: the mail server was away at the last attempt", ("state",)),
    "qist_mail_oldest_seconds": ("Age of the oldest mail that is not sent", ()),
    "qist_in_flight": ("Payments and refunds without an outcome", ("kind",)),
    "qist_in_flight_oldest_seconds": ("Age of the oldest payment or refund without an outcome", ("kind",)),
    "qist_webhooks": ("Webhooks to send; late: due for 2 minutes; retried: their endpoint fails", ("state",)),
    "qist_webhook_oldest_seconds": ("Age of the oldest webhook to an endpoint that does not fail", ()),
    "qist_locks_waited_for": ("Locks of the database that a transaction waits for", ()),
    "qist_lock_oldest_seconds": ("Age of the longest wait for a lock", ()),
    "qist_database_connections": ("Connections to the database", ()),
    "qist_database_bytes": ("Size of the database", ()),
    "qist_workers": ("Workers that report, and that have stopped to", ("state",)),
    "qist_queue_jobs": ("Jobs that no worker has begun", ()),
    "qist_queue_oldest_seconds": ("Age of the oldest of these jobs", ()),
    "qist_jobs_failed": ("Jobs that used up their retries", ()),
    "qist_scheduler_ticked_timestamp_seconds": ("Instant of the scheduler's last loop", ()),
    "qist_check_timestamp_seconds": ("Instant of the last qist check", ()),
    "qist_check_broken_rows": ("Rows that broke a rule in the last qist check", ()),
}
"""Help and labels of the figures."""


class Figures:
    """Collector of one scrape."""

    def __init__(self, parts: dict[str, Part]) -> None:
        self.parts = parts

    def collect(self) -> Iterable["Metric"]:
        from prometheus_client.core import GaugeMetricFamily  # a process without METRICS_PORT loads no such client

        up = GaugeMetricFamily("qist_up", "Whether the part answers", labels=["part"])
        problems = GaugeMetricFamily("qist_problem", "What is wrong with a part", labels=["part", "kind"])
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in KNOWN.items()}
        for name, part in self.parts.items():
            up.add_metric([name], float(part.up))
            if part.problem is not None:
                problems.add_metric([name, part.problem.kind], 1.0)
            for (figure, labels), value in part.numbers.items():
                families[figure].add_metric(labels, value)
        yield up
        yield problems
        info = GaugeMetricFamily("qist_version_info", "The version that serves this page", labels=["version"])
        info.add_metric([__version__], 1.0)
        yield info
        yield from (family for family in families.values() if family.samples)


def readiness(parts: dict[str, Part]) -> tuple[int, dict[str, Any]]:
    """Status and body of the internal /readyz: what the public one says in a word, and the problem of each part."""
    problems = {name: part.problem for name, part in parts.items() if part.problem is not None}
    is_ready = not any(problem.hindrance for problem in problems.values())
    status = "unavailable" if not is_ready else "degraded" if problems else "ok"
    described = {name: {k: v for k, v in asdict(p).items() if k != "hindrance"} for name, p in problems.items()}
    return (200 if is_ready else 503), {"status": status, "problems": described}


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    server_version = "qist"
    sys_version = ""
    timeout = READ_SECONDS
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """Answer /metrics, /readyz and /healthz."""
        if not self.server.places.acquire(blocking=False):
            self._send(503, "text/plain; charset=utf-8", b"busy\n")
            return
        try:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._send(200, *self.server.metrics())
            elif path == "/readyz":
                status, body = readiness(self.server.reader.read())
                self._send(status, "application/json", json.dumps(body).encode() + b"\n")
            elif path == "/healthz":
                self._send(200, "application/json", b'{"status": "ok"}\n')
            else:
                self._send(404, "text/plain; charset=utf-8", b"not found\n")
        finally:
            self.server.places.release()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each scrape."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, settings: Settings) -> None:
        host, port = settings.metrics_address, settings.metrics_port or 0
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self.folder = settings.metrics_dir
        self.reader = Reader(settings)
        self.places = threading.BoundedSemaphore(MAX_AT_ONCE)
        super().__init__((host, port), _Handler)
        os.register_at_fork(after_in_child=self.socket.close)

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name that the base class makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""

    def metrics(self) -> tuple[str, bytes]:
        """Content type and page of the metrics: sums of all processes, and the figures of PostgreSQL and Valkey."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        counters.forget_ended(self.folder)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self.folder))  # type: ignore[no-untyped-call]
        registry.register(Figures(self.reader.read()))
        return CONTENT_TYPE_LATEST, generate_latest(registry)


def serve(settings: Settings) -> None:
    """Serve the metrics in a thread of this process, as soon as no other process of this machine does.

    Without METRICS_PORT there are none. Raises FolderRefused.
    """
    if settings.metrics_port is None:
        return
    counters.make_folder(settings.metrics_dir)
    threading.Thread(target=_serve, args=(settings,), name="metrics", daemon=True).start()


def _serve(settings: Settings) -> None:
    complained = False
    while True:
        try:
            server = _Server(settings)
        except OSError as error:
            if error.errno != errno.EADDRINUSE and not complained:
                complained = True
                log.error("metrics.not_served", address=settings.metrics_address, reason=str(error))
            time.sleep(BIND_EVERY)
            continue
        log.info("metrics.served", address=settings.metrics_address, port=settings.metrics_port)
        server.serve_forever()
