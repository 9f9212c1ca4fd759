"""The TypeScript client compiles strictly, without a cast, and plays the story of a shop and a buyer with Node."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from tests.fixtures.live import served

FOLDER = Path(__file__).parents[2] / "clients/typescript"
STORY = Path(__file__).parent / "story.ts"
TSC = Path(sys.prefix) / "node/node_modules/typescript/bin/tsc"
"""Installed by `make node-tools`."""

needs_tsc = pytest.mark.skipif(
    not (TSC.exists() and shutil.which("node")), reason="make node-tools installs TypeScript"
)


def tsc(folder: Path) -> None:
    done = subprocess.run(["node", str(TSC), "--project", str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
@needs_tsc
def test_it_compiles_strictly_and_plays_the_story(app: Flask, database: str, tmp_path: Path) -> None:
    client, story = tmp_path / "node_modules/qist-client", tmp_path / "story"
    shutil.copytree(FOLDER, client)
    tsc(client)
    story.mkdir()
    shutil.copy(STORY, story)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = json.loads((FOLDER / "tsconfig.json").read_text())["compilerOptions"]
    (story / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": {**options, "rootDir": ".", "outDir": "../built"}})
    )
    tsc(story)
    with served(app) as url:
        command = ["node", str(tmp_path / "built/story.js"), url, secrets.token_hex(4)]
        environ = {"PATH": os.environ["PATH"]}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


def test_it_has_no_cast_and_one_pinned_package() -> None:
    for path in [*(FOLDER / "src").glob("*.ts"), STORY]:
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"]*\"", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"\bas\b(?! const)|\bany\b|@ts-|!\.", code), path.name
    package = json.loads((FOLDER / "package.json").read_text())
    assert set(package["devDependencies"]) == {"typescript"} and "dependencies" not in package
    assert package["license"] == "MIT" and not list(FOLDER.rglob("package-lock.json"))
    assert f"typescript@{package['devDependencies']['typescript']}" in (FOLDER.parents[1] / "Makefile").read_text()
    assert len((FOLDER / "README.md").read_text().splitlines()) <= 16
