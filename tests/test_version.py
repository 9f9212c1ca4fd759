"""portal.__version__ is the only source of the version that the interfaces show."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from flask import Flask
from flit_core.buildapi import prepare_metadata_for_build_wheel

import portal
from portal.cli import main
from tests.fixtures import people
from tests.web import browser_of

ROOT = Path(__file__).parent.parent


def test_the_command_line_shows_the_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"Qist {portal.__version__}\n")


def test_the_operators_page_shows_the_version(app: Flask, database: str) -> None:
    with app.app_context():
        people.an_operator()
    assert f"Qist {portal.__version__}." in browser_of(app, "olga").get("/operator").text


def test_the_package_has_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    folder = prepare_metadata_for_build_wheel(str(tmp_path))
    assert f"Version: {portal.__version__}" in (tmp_path / folder / "METADATA").read_text().splitlines()


def test_the_image_is_labelled_and_tagged_with_the_version(tmp_path: Path) -> None:
    """`make build` with a docker command that prints its arguments."""
    (tmp_path / "portal").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "portal" / "__init__.py", tmp_path / "portal")
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$* with $QIST_VERSION"\n')
    docker.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        ["make", "--silent", "build"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == f"compose build with {portal.__version__}"
    build = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["web"]["build"]
    assert build["args"]["QIST_VERSION"].startswith("${QIST_VERSION:-")
    assert build["tags"] == ["qist:${QIST_VERSION:-latest}"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG QIST_VERSION", dockerfile.rpartition("FROM ")[2], re.MULTILINE)
    assert "org.opencontainers.image.version=${QIST_VERSION}" in dockerfile


def test_the_changelog_begins_with_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == portal.__version__
