"""gunicorn's settings: threads, because requests wait for the database and the gateway more than they compute.

The arbiter loads the application once. A worker is a fork of it, so that the workers share its memory and a new one
serves at once. At the fork no connection to PostgreSQL or Valkey is open, and each worker counts for itself.
"""

import gc
import os

from portal import counters, logs
from portal.config import load

settings = load(os.environ)

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
preload_app = True
worker_class = "portal.gunicorn_worker.Worker"
workers = settings.web_workers
threads = settings.web_threads
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 a slow disk would look like a hung worker
timeout = 60
graceful_timeout = 25 if settings.production else 3
keepalive = 5
max_requests = 20_000 if settings.production else 0
max_requests_jitter = 2_000
forwarded_allow_ips = "*" if settings.trusted_proxies else "127.0.0.1,::1"
forwarder_headers = ""  # gunicorn would let a client's SCRIPT_NAME choose what of the path is the application's
accesslog = None  # the application logs one structured line for each request
errorlog = "-"
loglevel = "info" if settings.log_level == "debug" else settings.log_level
if settings.production:  # JSON lines, like the application's
    handlers = ["json"]
    logconfig_dict = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": logs.formatter}},
        "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": "INFO", "handlers": handlers},
        "loggers": {"gunicorn.error": {"level": loglevel.upper(), "handlers": handlers, "propagate": False}},
    }
proc_name = "qist"
control_socket_disable = True


def on_starting(_server):  # type: ignore[no-untyped-def]
    """The arbiter, which no request can block, serves the metrics."""
    counters.serve_no_request()
    if settings.metrics_port is not None:
        from portal.metrics import server

        logs.configure(settings.log_level)
        server.serve(settings)


def when_ready(_server):  # type: ignore[no-untyped-def]
    """What the arbiter loaded stays shared: no garbage collection of a worker writes to it."""
    gc.collect()
    gc.freeze()


def post_fork(_server, _worker):  # type: ignore[no-untyped-def]
    gc.set_threshold(10_000, 20, 20)  # a request allocates thousands of objects, nearly all without a cycle
    counters.begin_web_worker(pool_size=threads * 2 + 2)


limit_request_line = 4094
limit_request_field_size = 16_380  # an overlong token gets the API's 401 instead of gunicorn's 400
