#!/usr/bin/env python3
"""An integration with Qist in ten minutes, with Python's standard library: token, plan, payment, dashboard.

    python docs/examples/ten_minutes.py http://127.0.0.1:8000

Each run registers a new merchant and a new customer. docs/api.md has the same steps with curl.
"""

import json
import secrets
import sys
import urllib.error
import urllib.request
from datetime import date, timedelta

ADDRESS = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:8000"
PASSWORD = "seven green boats"


def call(method, path, body=None, token=None, **headers):
    """Send a request; return the status and the JSON of the response."""
    request = urllib.request.Request(ADDRESS + path, method=method)
    request.add_header("Accept", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def must(expected, response):
    status, body = response
    if status != expected:
        sys.exit(f"expected {expected}, got {status}: {json.dumps(body, indent=2)}")
    return body


# 1. Register two accounts. A real shop registers once, on the web page, and creates an API key there.
run = secrets.token_hex(4)
for role in ("merchant", "customer"):
    account = {"username": f"{role}-{run}", "email": f"{role}-{run}@example.com", "role": role}
    must(201, call("POST", "/auth/register/", {**account, "password": PASSWORD, "password2": PASSWORD}))

# 2. Get a token for each account.
sign_in = {"username": f"merchant-{run}", "password": PASSWORD}
shop = must(200, call("POST", "/token/", sign_in))["access"]
buyer = must(200, call("POST", "/token/", {**sign_in, "username": f"customer-{run}"}))["access"]

# 3. The merchant previews a schedule, then creates the plan. Amounts are text, so that no digit is lost.
terms = {"total_amount": "100.00", "num_installments": 3, "start_date": str(date.today() + timedelta(days=7))}
preview = must(200, call("POST", "/api/plans/preview/", terms, shop))
print("preview:  ", ", ".join(f"{row['amount']} on {row['due_date']}" for row in preview["installments"]))
order = {**terms, "customer_email": f"customer-{run}@example.com", "external_id": f"order-{run}"}
plan = must(201, call("POST", "/api/plans/", order, shop, Idempotency_Key=f"make-{run}"))
print("plan:     ", plan["id"], plan["status"], plan["total_amount"], plan["currency"])

# 4. After a lost response, the same request with the same key returns the same plan, not a second one.
again = must(201, call("POST", "/api/plans/", order, shop, Idempotency_Key=f"make-{run}"))
assert again == plan

# 5. The customer pays the first installment. A declined card charges nothing.
first = plan["installments"][0]
pay = f"/api/plans/installments/{first['id']}/pay/"
declined = must(402, call("POST", pay, {"payment_method": "card_declined"}, buyer, Idempotency_Key=f"try-{run}"))
print("declined: ", declined["code"], "-", declined["detail"])
paid = must(200, call("POST", pay, {"amount": first["amount"]}, buyer, Idempotency_Key=f"pay-{run}"))
print("paid:     ", paid["amount"], paid["status"], paid["paid_at"])

# 6. A second payment is refused.
twice = must(409, call("POST", pay, {}, buyer))
print("twice:    ", twice["code"])

# 7. The merchant's figures.
figures = must(200, call("GET", "/api/analytics/dashboard/", token=shop))
print("dashboard:", figures)
assert figures["total_revenue"] == 33.34 and figures["overdue_installments"] == 0
print("done")
