"""docs/integrate.md, word for word: its commands in terminals, its steps in a browser, its lines of output.

Only the ports and the folder are others, so that several tests can run on one machine.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.local.child_server import marks
from tests.browser.visitors import Visitor
from tests.fixtures.live import ROOT, free_port
from tests.processes.running import until

pytestmark = pytest.mark.browser

STEP = re.compile(
    r"(?P<act>Open|Fill|Check|Press|Copy)\s+"
    r"(?:\*\*(?P<name>[^*]+)\*\*|`(?P<url>[^`]+)`|(?P<link>the (?:[^.]+ )?link[^.]*))"
    r"(?:\s+with\s+`(?P<value>[^`]+)`)?\."
)
PASTED = re.compile(r"^read -rsp 'Paste the (.+?): ' .*\n", re.MULTILINE)


class Terminal:
    """A shell that gets commands as they are typed, in the checkout, with the programs of the tests' environment."""

    def __init__(self, name: str, folder: Path) -> None:
        self.log = folder / f"{name}.out"
        self.blocks = 0
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        for program, arguments in (("python", ""), ("qist", "-m portal.cli")):
            (programs / program).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (programs / program).chmod(0o755)
        environ = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "FLASK_SKIP_DOTENV": "1",
            **marks(os.environ),
        }
        with self.log.open("wb") as out:
            self.shell = subprocess.Popen(
                ["bash", "-o", "pipefail"],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def type(self, commands: str, pasted: dict[str, str]) -> None:
        """Type a block. After a line that asks for a secret, paste it."""
        typed = PASTED.sub(lambda line: f"{line[0]}{pasted[line[1]]}\n", commands)
        self.blocks += 1
        assert self.shell.stdin
        self.shell.stdin.write(f"{typed}\necho block {self.blocks} ended with $?\n".encode())
        self.shell.stdin.flush()

    def shows(self, words: str) -> None:
        failed = re.compile(rf"block {self.blocks} ended with [^0]")
        until(lambda: words in self.output or failed.search(self.output) is not None, 120, lambda: self.output)
        assert words in self.output, self.output

    def ends_well(self) -> None:
        """Wait for the end of the last block, which must be one without an error."""
        self.shows(f"block {self.blocks} ended with ")
        assert f"block {self.blocks} ended with 0\n" in self.output, self.output

    def press_ctrl_c(self) -> None:
        """Interrupt the program, and leave the shell."""
        assert self.shell.stdin
        self.shell.stdin.close()
        with suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGINT)
        try:
            self.shell.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.shell.pid, signal.SIGKILL)


class Guide:
    """The page, section by section. `pasted` are the secrets that a step copied, by their first words."""

    def __init__(self, folder: Path) -> None:
        text = (ROOT / "docs/integrate.md").read_text()
        for typed, own in {"8000": free_port(), "8025": free_port(), "9000": free_port()}.items():
            text = text.replace(typed, str(own))
        text = text.replace("/tmp/afternoon", str(folder / "afternoon"))
        self.sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
        self.pasted: dict[str, str] = {}

    def blocks(self, section: str) -> list[tuple[str, str]]:
        """The name of the terminal and the commands of each block."""
        found = re.findall(r"```sh\n# terminal: (\w+)\n(.*?)```", self.sections[section], re.DOTALL)
        assert len(found) == self.sections[section].count("```sh")
        return found

    def lines(self, section: str) -> list[str]:
        """The lines of output that the section promises."""
        return "".join(re.findall(r"```text\n(.*?)```", self.sections[section], re.DOTALL)).splitlines()

    def walk(self, section: str, page: Page, link: Callable[[str], str]) -> list[str]:
        """Carry out the numbered steps, each sentence of them. Returns the labels of the fields that were filled in."""
        filled = []
        for text in re.findall(r"^\d\. (.*?)(?=^\d\. |^$)", self.sections[section], re.MULTILINE | re.DOTALL):
            assert STEP.sub("", text).strip() == "", "a sentence that is no step"
            for step in STEP.finditer(" ".join(text.split())):
                name = step["name"] or ""
                main = page.locator("main")
                match step["act"]:
                    case "Open":
                        page.goto(step["url"] or link(step["link"]))
                    case "Fill":
                        page.get_by_label(name, exact=True).fill(step["value"])
                        filled.append(name)
                    case "Check":
                        page.get_by_label(name, exact=True).check()
                    case "Press":
                        button = main.get_by_role("button", name=name, exact=True)
                        button.or_(main.get_by_role("link", name=name, exact=True)).click()
                        page.wait_for_load_state()
                    case "Copy":
                        self.pasted[name.removeprefix("Your new ").lower().replace("api", "API")] = page.get_by_label(
                            name, exact=True
                        ).input_value()
        return filled


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Callable[[str], Terminal]]:
    """The page's terminals by their names."""
    opened: dict[str, Terminal] = {}

    def terminal(name: str) -> Terminal:
        if name not in opened:
            opened[name] = Terminal(name, tmp_path)
        return opened[name]

    yield terminal
    for name in sorted(opened, key=lambda name: name == "qist"):
        opened[name].press_ctrl_c()


@pytest.mark.long
def test_the_afternoon_of_the_page(browser: Browser, terminals: Callable[[str], Terminal], tmp_path: Path) -> None:
    guide = Guide(tmp_path)

    def type_all(section: str, ready: dict[str, str]) -> None:
        for name, commands in guide.blocks(section):
            terminals(name).type(commands, guide.pasted)
            if name in ready:
                terminals(name).shows(ready[name])
            else:
                terminals(name).ends_well()

    def found(pattern: str, name: str) -> str:
        until(lambda: re.search(pattern, terminals(name).output), 120, lambda: terminals(name).output)
        match = re.search(pattern, terminals(name).output)
        assert match
        return match[1]

    type_all("The installation", {"mails": "ready", "qist": "Qist is ready"})
    contexts = [browser.new_context() for _ in range(2)]
    hala, layla = (Visitor(context) for context in contexts)
    filled = guide.walk("The API key", hala.page, lambda link: found(r"owner hala: (\S+)", "shop"))
    assert filled == ["New password", "Username or email", "Password", "Name", "Address"]
    assert set(guide.pasted) == {"API key", "signing secret"}

    type_all("The receiver", {"receiver": "listening"})
    type_all("The plan", {})
    receiver = terminals("receiver")
    receiver.shows("verified: plan.created of order-1001\n")
    assert '"accepted_at": null' in terminals("shop").output

    mailed = r"To: layla@example\.com\n(?:.*\n)*?(http://\S+/invitations/\S+)"
    filled = guide.walk("The buyer", layla.page, lambda link: found(mailed, "mails"))
    assert filled == [], "the buyer types nothing, and no password"
    expect(layla.page.get_by_role("heading", level=1)).to_have_text("Receipt")

    for line in guide.lines("The webhook")[:-1]:
        receiver.shows(f"{line}\n")
    type_all("The webhook", {})
    assert guide.lines("The webhook")[-1] in terminals("shop").output
    type_all("The same on a laptop", {"laptop": "Signing secret: that of WEBHOOK_SECRET"})
    for line in guide.lines("The same on a laptop"):
        receiver.shows(f"{line}\n")
    assert "not signed" not in receiver.output
    assert hala.errors + layla.errors == []
    for context in contexts:
        context.close()
