"""Every reason why a mail was not sent has a sentence."""

import ast
from pathlib import Path

import pytest

from portal.wording.mail_problems import MAIL_PROBLEMS, mail_problem
from tests.house.sources import nodes

pytestmark = pytest.mark.xdist_group("house")  # its worker has read the source
PORTAL = Path(__file__).parents[2] / "portal"
SOURCES = [*(PORTAL / "services/mail").rglob("*.py"), PORTAL / "gateways/email.py"]
RAISED = {"NoLongerTrue": 0, "NotSent": 0, "ServerUnavailable": 0, "_fail": 1, "_mark_dead": 1}
"""The argument with the code, by the function that is called."""


def codes() -> set[str]:
    """The literal codes in the source."""
    literals = set()
    for path in SOURCES:
        for call in nodes(path):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in RAISED:
                for node in ast.walk(call.args[RAISED[call.func.id]]):
                    if isinstance(node, ast.Constant):
                        literals.add(str(node.value))
    return literals


def test_every_code_has_a_sentence_and_every_sentence_a_code() -> None:
    assert codes() == set(MAIL_PROBLEMS)


@pytest.mark.parametrize("code", MAIL_PROBLEMS)
def test_the_sentence_holds_the_detail_if_there_is_one(code: str) -> None:
    words = mail_problem(code, "550 No such mailbox")
    assert words[0].isupper()
    assert "%" not in words
    assert words.endswith((".", "550 No such mailbox"))
    assert mail_problem(code, None)
