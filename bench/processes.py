"""Memory of an installation's processes after requests, and their CPU of a start and while nothing happens.

Web server (two workers), worker and scheduler start as their containers and units start them, on servers of their own.
Memory is PSS: a page of memory that several processes share counts in parts. CPU is user and system time, also of
children that have ended, so that other work on the machine changes little. `rich` is hidden: structlog loads it where
it finds it, and only the tools of the tests bring it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil
from sqlalchemy import text

from bench import _large
from bench._app import application
from bench._scene import PASSWORD, ROOT, ask, browser
from portal.extensions import db
from portal.services.accounts import passwords
from portal.services.books import totals
from tests.fixtures.live import free_port

PLANS: Final = 2_500
IDLE_SECONDS: Final = float(os.environ.get("IDLE_SECONDS", "60"))
ROUNDS: Final = 25
PAGES: Final = (
    *("/dashboard", "/plans", "/plans?search=order", "/plans/new", "/customers", "/installments", "/payments"),
    *("/refunds", "/movements", "/settings", "/team", "/account", "/journal"),
)
IMPORT: Final = """
import resource, sys; sys.modules["rich"] = None
before = resource.getrusage(resource.RUSAGE_SELF)
import wsgi
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss, len(sys.modules))
"""


def main() -> None:
    with application() as app, app.app_context(), ExitStack() as stack:
        with db.engine.connect() as connection:
            _large.fill(connection, PLANS)
        with db.engine.begin() as connection:
            secret = {"hash": passwords.hash_password(PASSWORD)}
            connection.execute(text("UPDATE users SET password_hash = :hash WHERE id < 3"), secret)
        totals.fold(1)
        settings = app.config["QIST"]
        port = free_port()
        environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
            **{"PYTHONPATH": str(ROOT), "FLASK_SKIP_DOTENV": "1", "LOG_LEVEL": "error", "WEB_WORKERS": "2"},
            **{"PORT": str(port), "PUBLIC_URL": f"http://localhost:{port}", "SECRET_KEY": settings.secret_key},
            **{"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url},
        }
        best = min(_import(environ) for _ in range(5))
        print(f"import of wsgi: {best[0]:.2f} s of CPU, {best[2]:.0f} modules")
        url = f"http://localhost:{port}"
        starts: list[tuple[float, float]] = []
        for _ in range(3):
            with ExitStack() as trial:
                began = time.perf_counter()
                server = trial.enter_context(_process("web", environ))
                _wait(url)
                starts.append((_cpu(server), time.perf_counter() - began))
        cpu, wall = min(cpu for cpu, _ in starts), min(wall for _, wall in starts)
        print(f"web server until ready: {cpu:.2f} s of CPU with two workers, {wall:.2f} s in all")
        web = stack.enter_context(_process("web", environ))
        worker = stack.enter_context(_process("worker", environ))
        scheduler = stack.enter_context(_process("scheduler", environ))
        _wait(url)
        cookies = browser(url, "person1")
        statuses = [ask(url, "GET", page, cookies).status for _ in range(ROUNDS) for page in PAGES]
        if not set(statuses) <= {200, 404}:
            raise RuntimeError(f"a page failed: {statuses}")
        time.sleep(5)
        names, processes = ("web", "worker", "scheduler"), (web, worker, scheduler)
        before = [(_cpu(each), time.perf_counter()) for each in processes]
        time.sleep(IDLE_SECONDS)
        for name, each, (used, at) in zip(names, processes, before, strict=True):
            share = 100 * (_cpu(each) - used) / (time.perf_counter() - at)
            parts = ", ".join(f"{_pss(one):.0f}" for one in _tree(each))
            print(f"{name}: {sum(map(_pss, _tree(each))):.0f} MB PSS ({parts}), {share:.2f} % of a core while idle")


def _import(environ: dict[str, str]) -> tuple[float, ...]:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return tuple(map(float, run.stdout.split()))


@contextmanager
def _process(name: str, environ: dict[str, str]) -> Iterator[psutil.Process]:
    run = "from portal.cli import main; main()"
    if name == "scheduler":
        run = "import runpy; runpy.run_module('portal.jobs.scheduler', run_name='__main__')"
    if name == "web":
        run = "from gunicorn.app.wsgiapp import run; run()"
    command = [sys.executable, "-c", f"import sys; sys.modules['rich'] = None; {run}"]
    command += ["-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"] if name == "web" else [name]
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if ask(url, "GET", "/readyz").status == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the web server did not start")


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of a process, its children, and those of them that have ended."""
    return sum(sum(one.cpu_times()[:4]) for one in _tree(process))


def _pss(process: psutil.Process) -> float:
    """MB of memory, with each shared page in parts."""
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
