"""Make the table of docs/operations.md: what Qist says 10, 30 and 60 seconds after a failure, or three minutes.

Run it as root with `python docs/failures.py` inside the virtual environment, with Debian's prometheus. It mounts a
small disk for the database, starts the real processes and a real Prometheus with docs/monitoring/alerts.yml, and takes
a quarter of an hour.
"""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests
from aiosmtpd.controller import Controller

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from portal.local.postgres import Postgres  # noqa: E402
from tests.fixtures import servers  # noqa: E402
from tests.fixtures.live import free_port  # noqa: E402
from tests.processes.running import Running, ValkeyServer, until  # noqa: E402

PAGE = ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- made by docs/failures.py -->", "<!-- end -->"
INSTANTS = (10, 30, 60)
LONG = {"worker frozen": 180, "Valkey away": 180}
"""A further instant, after Valkey has forgotten a silent worker."""
DISK = "400m"
SPARE_SEGMENTS = 3
MAX_EVENTS = 3
PASSWORD = "correct-horse-7-battery"  # noqa: S105 of this run's operator
COLUMNS = ("public `/readyz`", "internal `/readyz`", "`qist doctor`", "`qist status`", "operator's page")
COLUMNS += ("log", "alerts")


class Catcher:
    """A mail server that takes every mail, and can go away."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        return "250 OK"

    def start(self) -> None:
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()

    def stop(self) -> None:
        self.controller.stop()


class System:
    """The real processes, and what they say."""

    def __init__(self, stack: ExitStack, folder: Path, disk: Path) -> None:
        self.disk = disk
        self.postgres = stack.enter_context(Postgres(disk / "home", durable=False))
        self.valkey = stack.enter_context(ValkeyServer(folder / "valkey"))
        self.mail = Catcher()
        stack.callback(self.mail.stop)
        self.admin = psycopg.connect(self.postgres.url.replace("+psycopg", ""), autocommit=True)
        stack.callback(self.admin.close)
        self.set_password("first-word")
        (self.postgres.files / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        self.admin.execute("SELECT pg_reload_conf()")
        self.web, self.metrics, self.prometheus = free_port(), free_port(), free_port()
        environ = {
            "DATABASE_URL": self.postgres.url.replace("qist@", "qist:first-word@"),
            "PORT": str(self.web),
            "PUBLIC_URL": f"http://127.0.0.1:{self.web}",
            "METRICS_PORT": str(self.metrics),
            "METRICS_DIR": str(folder / "metrics"),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_SECURITY": "none",
            "RATELIMIT_LOGIN": "1000 per minute",
        }
        os.environ |= {servers.POSTGRES: self.postgres.url, servers.VALKEY: self.valkey.url}
        self.running = stack.enter_context(Running(folder, self.valkey.url, **environ))
        self.cli("db", "upgrade")
        self.cli("create-operator", "--username", "olga", "--email", "olga@example.org", "--password", PASSWORD)
        self.running.start("web")
        self.worker = self.running.start("worker")
        self.running.start("scheduler")
        until(lambda: (self.internal(), self.public()) == ("ok", "200 ok"), 120, self.running.output)
        self.session = requests.Session()
        self.sign_in()
        self.start_prometheus(folder, stack)

    def set_password(self, password: str) -> None:
        self.admin.execute(f"ALTER ROLE qist PASSWORD '{password}'")

    def cli(self, *words: str) -> str:
        command = [sys.executable, "-m", "portal.cli", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.running.environ, capture_output=True, text=True, timeout=120)
        return done.stdout or done.stderr

    def sign_in(self) -> None:
        url = f"http://127.0.0.1:{self.web}/login"
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.session.get(url, timeout=30).text)
        assert token
        form = {"csrf_token": html.unescape(token[1]), "login": "olga", "password": PASSWORD}
        assert "/login" not in self.session.post(url, data=form, timeout=30).url

    def ask_for_mail(self) -> None:
        url = f"http://127.0.0.1:{self.web}/password-resets"
        with requests.Session() as session:
            page = session.get(f"{url}/new", timeout=30).text
            token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
            assert token
            form = {"csrf_token": html.unescape(token[1]), "login": "olga", "email": "olga@example.org"}
            session.post(url, data=form, timeout=30)

    def start_prometheus(self, folder: Path, stack: ExitStack) -> None:
        shutil.copy(ROOT / "docs" / "monitoring" / "alerts.yml", folder)
        target = f"[{{targets: ['127.0.0.1:{self.metrics}']}}]"
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 15s, evaluation_interval: 15s}\nrule_files: [alerts.yml]\n"
            f"scrape_configs:\n  - job_name: qist\n    static_configs: {target}\n"
        )
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        command += [f"--web.listen-address=127.0.0.1:{self.prometheus}", "--log.level=error"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        until(lambda: self.alerts() == "none", 60)

    # What each part says, in a few words.

    def public(self) -> str:
        try:
            response = requests.get(f"http://127.0.0.1:{self.web}/readyz", timeout=15)
        except requests.RequestException:
            return "no answer"
        return f"{response.status_code} {response.json()['status']}"

    def internal(self) -> str:
        try:
            body = requests.get(f"http://127.0.0.1:{self.metrics}/readyz", timeout=15).json()
        except requests.RequestException:
            return "no answer"
        return ", ".join(f"{part} {found['kind']}" for part, found in body["problems"].items()) or "ok"

    def doctor(self) -> str:
        lines = [line for line in self.cli("doctor").splitlines() if line.startswith("error")]
        return short("; ".join(line.removeprefix("error").strip() for line in lines)) or "no error"

    def status(self) -> str:
        try:
            figures = json.loads(self.cli("status"))
        except ValueError:
            return "no answer"
        health, queue = figures["health"], figures["queue"]
        words = [f"{part} {code}" for part, code in {**health["problems"], **health["degraded"]}.items()]
        words += [f"{queue['silent']} worker silent"] if queue and queue["silent"] else []
        words += ["no queue"] if not queue and not words else []
        words += [f"{figures['mail']['late']} mails late"] if figures.get("mail", {}).get("late") else []
        return ", ".join(words) or "ok"

    def worker_said(self) -> str:
        """Words of `qist alive worker` and `qist status` about a worker that works again."""
        alive = self.cli("alive", "worker").strip()
        queue = json.loads(self.cli("status"))["queue"]
        counts = f"`qist status` counts {queue['alive']} alive, {queue['silent']} silent"
        return f"; `qist alive worker` says that the {alive}, {counts}"

    def page(self) -> str:
        try:
            response = self.session.get(f"http://127.0.0.1:{self.web}/operator", timeout=30)
        except requests.RequestException:
            return "no answer"
        if response.status_code != 200:
            return f"error page, {response.status_code}"
        text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text)))
        found = re.findall(
            r"Database has no[^.]*?disk|Valkey does not answer|No worker reports|A worker is silent|"
            r"\d+ (?:is|are) silent|Nobody works|Mails wait|"
            r"Periodic jobs stand still|Scheduler has not ticked[^.]*?intervals|\d+ late, the oldest|"
            r"Database, Valkey, scheduler and workers answer",
            text,
        )
        return "; ".join(dict.fromkeys(words.removesuffix(", the oldest") for words in found)) or "nothing"

    def log(self, since: str) -> str:
        """The events at level warning or above since an instant."""
        events: dict[str, None] = {}
        for line in self.running.output().splitlines():
            found = json.loads(line) if line.startswith("{") else {}
            if found.get("timestamp", "") > since and found["level"] in ("warning", "error", "critical"):
                kind = f" ({found['kind']})" if "kind" in found and found["event"].startswith("database") else ""
                events[f"`{found['event']}`{kind}" if " " not in found["event"] else f"{found['event'][:40]}..."] = None
        return ", ".join(list(events)[:MAX_EVENTS]) + (" ..." if len(events) > MAX_EVENTS else "") or "nothing"

    def alerts(self) -> str:
        try:
            found = requests.get(f"http://127.0.0.1:{self.prometheus}/api/v1/alerts", timeout=15).json()
        except requests.RequestException:
            return "no answer"
        names = sorted(
            {alert["labels"]["alertname"] for alert in found["data"]["alerts"] if alert["state"] == "firing"}
        )
        return ", ".join(names) or "none"

    def say(self, since: str) -> list[str]:
        parts: list[Callable[[], str]] = [self.public, self.internal, self.doctor, self.status, self.page]
        with ThreadPoolExecutor() as pool:
            answers = [pool.submit(part) for part in [*parts, lambda: self.log(since), self.alerts]]
            return [answer.result() for answer in answers]


def short(text: str) -> str:
    return text if len(text) <= 90 else text[:87] + "..."


@contextmanager
def small_disk(folder: Path) -> Any:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "qist-disk", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def failures(system: System) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """The failures by name: how each begins and ends."""
    rest = system.disk / "rest"

    def fill_disk() -> None:
        """Fill the disk. Without spare segments PostgreSQL would end at the next one, within minutes or at once."""
        for _ in range(SPARE_SEGMENTS):
            system.admin.execute("SELECT pg_switch_wal()")
            system.admin.execute("CHECKPOINT")
        subprocess.run(["dd", "if=/dev/zero", f"of={rest}", "bs=64k"], capture_output=True)

    def wrong_password() -> None:
        system.set_password("second-word")
        system.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'qist'"
        )

    def mail_gone() -> None:
        system.mail.stop()
        system.ask_for_mail()

    return {
        "worker frozen": (
            lambda: system.worker.send_signal(signal.SIGSTOP),
            lambda: system.worker.send_signal(signal.SIGCONT),
        ),
        "Valkey away": (system.valkey.kill, system.valkey.restart),
        "disk full": (fill_disk, rest.unlink),
        "wrong password": (wrong_password, lambda: system.set_password("first-word")),
        "mail server gone": (mail_gone, system.mail.start),
    }


def main() -> None:
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)
        system = System(stack, folder, stack.enter_context(small_disk(folder / "disk")))
        for name, (begin, end) in failures(system).items():
            began, since = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            begin()
            for seconds in (*INSTANTS, *([LONG[name]] if name in LONG else [])):
                time.sleep(max(0.0, began + seconds - time.monotonic()))
                rows.append([name, f"{seconds} s", *system.say(since)])
                print(rows[-1], flush=True)
            end()
            began = time.monotonic()
            until(lambda: system.internal() == "ok", 450, system.running.output)
            seconds = time.monotonic() - began
            rows.append(
                [name, "well again", f"all parts are well after {seconds:.0f} s{system.worker_said()}", *[""] * 6]
            )
            print(rows[-1], flush=True)
            write(rows)
            until(lambda: system.alerts() == "none", 450)


def write(rows: list[list[str]]) -> None:
    """Write the table into the page."""
    head = f"| failure | after | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}\n"
    table = head + "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    table = re.sub(r"/\w+/qist[-\w]*/?", "", re.sub(r"Worker [\w.-]+: ", "worker: ", table))
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
