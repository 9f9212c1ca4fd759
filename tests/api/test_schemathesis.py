"""schemathesis on every operation, in all its phases: no 5xx, no undocumented status or schema, no ignored sign-in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api import Api, Person, create_plan, customer, merchant

CUSTOMERS = (
    "/api/plans/installments/{installment_id}/pay/",
    "/api/plans/{plan_id}/pay/",
    "/api/payment-methods/",
    "/api/payment-methods/{method_id}/",
)
OPERATION = """
[[operations]]
include-path = "{path}"
headers = {{ Authorization = "Bearer {payer}" }}
"""
# The API may refuse data that is valid by its schema: a number with too many digits, a merchant's email.
EXCLUDED_CHECKS = "positive_data_acceptance"


def run(api: Api, folder: Path, amal: Person, omar: Person, *more: str) -> None:
    """Run schemathesis with the merchant's token, and the customer's on operations for customers, on sample data."""
    for number in range(4):
        plan = create_plan(amal, omar.email, external_id=f"order-{number}")
        omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/")
        amal.api.post(f"/api/plans/{plan['id']}/refunds/", {"amount": "1.00", "reason": "A layer was missing"})
    omar.api.post("/api/payment-methods/", {"card": "card_ok"})
    settings = [OPERATION.format(path=path, payer=omar.api.token) for path in CUSTOMERS]
    (folder / "schemathesis.toml").write_text("".join(settings))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file",
            str(folder / "schemathesis.toml"),
            "run",
            f"{api.url}/api/openapi.json",
            *("--header", f"Authorization:Bearer {amal.api.token}"),
            *("--checks", "all", "--exclude-checks", EXCLUDED_CHECKS),
            *("--warnings", "off", "--suppress-health-check", "all", "--request-timeout", "20"),
            *more,
        ],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


@pytest.mark.long
def test_a_case_an_operation(api: Api, tmp_path: Path) -> None:
    phases = ("--phases", "examples,fuzzing")
    run(api, tmp_path, merchant(api), customer(api), "--max-examples", "1", "--no-shrink", "--seed", "1", *phases)


@pytest.mark.long
def test_a_few_cases_an_operation(api: Api, tmp_path: Path) -> None:
    run(api, tmp_path, merchant(api), customer(api), "--max-examples", "5", "--no-shrink", "--seed", "1")


@pytest.mark.proof
def test_a_thousand_cases_an_operation(api: Api, tmp_path: Path) -> None:
    run(api, tmp_path, merchant(api), customer(api), "--max-examples", "1000")
