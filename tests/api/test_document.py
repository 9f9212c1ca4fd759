"""The OpenAPI document: valid and complete, with valid examples, and usable for generating a client.

The validators are imported by the tests that use them: their import takes seconds, which every worker would need.
"""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal.api.openapi import examples
from portal.gateways.payment.simulated.cards import OFFERED
from tests.api import Api, create_plan, customer, merchant


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    openapi: dict[str, Any] = app.test_client().get("/api/openapi.json").get_json()
    return openapi


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def against(document: dict[str, Any], name: str, value: Any) -> None:
    """Validate a value against a named schema of the document."""
    from openapi_schema_validator import OAS31Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    registry: Registry = Registry().with_resource("urn:qist", Resource(document, DRAFT202012))
    OAS31Validator({"$ref": f"urn:qist#/components/schemas/{name}"}, registry=registry).validate(value)


@pytest.mark.long
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    import openapi_spec_validator

    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert operation["summary"] and operation["operationId"] and operation["tags"]
        for status, response in operation["responses"].items():
            assert response["description"] and "X-Request-Id" in response["headers"], operation["operationId"]
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
            if int(status) in (429, 503):
                assert "Retry-After" in response["headers"]


def test_every_route_is_documented_or_an_alias_of_a_documented_one(app: Flask, document: dict[str, Any]) -> None:
    descriptions = " ".join(operation["description"] for operation in operations(document))
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api_") and not rule.endpoint.startswith(("api_docs", "api_keys")):
            address = re.sub(r"<(?:row:)?(\w+)>", r"{\1}", rule.rule)
            assert address in document["paths"] or f"`{rule.rule}`" in descriptions, rule.rule


@pytest.mark.long
def test_the_examples_are_valid_by_their_schemas(document: dict[str, Any]) -> None:
    for name, example in examples.shapes(OFFERED).items():
        against(document, name, example)
    for operation in operations(document):
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/problem+json", {})
            for problem in content.get("examples", {}).values():
                against(document, "Problem", problem["value"])


def test_real_responses_are_valid_by_their_schemas(document: dict[str, Any], api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    plan = create_plan(amal, omar.email)
    against(document, "Plan", plan)
    where = f"/api/plans/installments/{plan['installments'][0]['id']}/pay/"
    against(document, "PaidInstallment", omar.api.post(where).json())
    against(document, "Payment", omar.api.get("/api/payments/").json()[0])
    base, why = f"/api/plans/{plan['id']}", {"reason": "A layer was missing"}
    cash = {"amount": "10.00", "method": "cash", "received_on": "2026-09-01"}
    against(document, "Payment", amal.api.post(f"{base}/payments/", cash).json())
    against(document, "Payment", omar.api.post(f"{base}/pay/", {"choice": "amount", "amount": "10.00"}).json())
    against(document, "RefundAnswer", amal.api.post(f"{base}/refunds/", {**why, "amount": "15.00"}).json())
    against(document, "Refund", omar.api.get("/api/refunds/").json()[0])
    against(document, "Plan", amal.api.post(f"{base}/credits/", {**why, "amount": "1.00"}).json())
    against(document, "CancelledPlan", amal.api.post(f"{base}/cancel/", {**why, "refund": "1.00"}).json())
    against(document, "SavedPaymentMethod", omar.api.post("/api/payment-methods/", {"card": "card_ok"}).json())
    against(document, "Dashboard", amal.api.get("/api/analytics/dashboard/").json())
    against(document, "AgeingReport", amal.api.get("/api/analytics/ageing/").json())
    against(document, "Account", omar.api.get("/auth/me/").json())
    unknown = amal.api.get("/api/plans/?page=2")
    assert set(unknown.json()) <= set(document["components"]["schemas"]["Problem"]["properties"])
    assert set(unknown.json()["errors"][0]) <= set(document["components"]["schemas"]["Fault"]["properties"])
    for refused in (omar.api.post(where), api.get("/auth/me/"), amal.api.post("/api/plans/", {"x": 1}), unknown):
        against(document, "Problem", refused.json())


@pytest.mark.long
def test_a_generated_client_works(
    document: dict[str, Any], api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "openapi.json"
    address.write_bytes(api.session.get(f"{api.url}/api/openapi.json").content)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(address), "--meta", "none"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    generated = subprocess.run(
        [*command, "--output-path", str(tmp_path / "qist_client"), "--fail-on-warning"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "qist_client"]:
        monkeypatch.delitem(sys.modules, name)  # the client of clients/ has the same name

    def part(name: str) -> Any:
        return importlib.import_module(f"qist_client.{name}")

    amal, omar = merchant(api), customer(api)
    client = part("client").AuthenticatedClient(base_url=api.url, token=amal.api.token)
    models = part("models")
    body = models.NewPlan.from_dict(
        {
            "total_amount": "100.00",
            "num_installments": 3,
            "start_date": "2026-08-31",
            "customer_email": omar.email,
        }
    )
    plan = part("api.plans.plans_create").sync(client=client, body=body)
    assert plan.total_amount == "100.00" and len(plan.installments) == 3
    plans = part("api.plans.plans_index").sync(client=client, limit=10)
    assert [row.id for row in plans] == [plan.id]
    completed = part("api.plans.plans_index").sync(client=client, state=models.PlanStatus.COMPLETED)
    assert completed == []
    payer = part("client").AuthenticatedClient(base_url=api.url, token=omar.api.token)
    pay = part("api.installments.installments_pay")
    paid = pay.sync(plan.installments[0].id, client=payer, body=models.Pay(), idempotency_key="one")
    assert paid.status == "paid"
    again = pay.sync(plan.installments[0].id, client=payer, body=models.Pay())
    assert again.code == "already_paid"
    rest = part("api.payments.payments_pay").sync(
        plan.id, client=payer, body=models.PayPlan(choice=models.PayChoice.ALL, payment_method="card_slow")
    )
    assert (rest.amount, rest.state) == ("66.66", "succeeded")
    refund = models.NewRefund(amount="33.34", reason="A layer was missing", payment=paid.payment.id)
    back = part("api.refunds.refunds_create").sync(plan.id, client=client, body=refund)
    assert (back.refunded, [row.payment for row in back.refunds]) == ("33.34", [paid.payment.id])
    assert part("api.analytics.analytics_dashboard").sync(client=client).total_revenue == 66.66
