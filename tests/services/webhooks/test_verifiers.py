"""The verifiers of docs/webhooks.md take real requests, and no other."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.gateways import webhook_signatures

PAGE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()
BODY = '{"type":"plan.created","data":{"description":"كعكة"}}'.encode()


def program(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert match
    return match[1]


def run(language: str, secret: str, headers: dict[str, str], body: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c"] if language == "python" else ["node", "-e"]
    sent = {name.replace("-", "_"): value for name, value in headers.items() if name.startswith("webhook-")}
    environment = {"PATH": os.environ["PATH"], "SECRET": secret, **sent}
    return subprocess.run([*command, program(language)], env=environment, input=body, capture_output=True, timeout=60)


@pytest.mark.parametrize("language", ["python", "js"])
def test_a_verifier_takes_what_qist_signs_and_nothing_else(language: str) -> None:
    old, new = webhook_signatures.new_secret(), webhook_signatures.new_secret()

    def headers(at: float) -> dict[str, str]:
        made = webhook_signatures.headers(f"evt_{1:032x}", int(at), BODY, (new, old))
        return {str(name): str(value) for name, value in made.items()}

    now = headers(time.time())
    for secret in (old, new):
        verified = run(language, secret, now, BODY)
        assert (verified.returncode, verified.stdout.strip()) == (0, b"plan.created"), verified.stderr
    assert run(language, webhook_signatures.new_secret(), now, BODY).returncode != 0
    assert run(language, new, now, BODY + b" ").returncode != 0
    assert run(language, new, now | {"webhook-id": f"evt_{2:032x}"}, BODY).returncode != 0
    assert run(language, new, headers(time.time() - 600), BODY).returncode != 0
