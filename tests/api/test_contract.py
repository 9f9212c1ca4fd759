"""Each row of the JSON contract, over HTTP against the really started system: both slashes, every alias."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api import Api, Person, a_name, both, customer, merchant, plan, problem
from tests.fixtures.live import Live
from tests.fixtures.people import PASSWORD


@pytest.fixture(scope="module")
def nobody(live: Live) -> Api:
    return Api(live.url)


@pytest.fixture(scope="module")
def amal(nobody: Api) -> Person:
    return merchant(nobody)


@pytest.fixture(scope="module")
def omar(nobody: Api) -> Person:
    return customer(nobody)


PLAN = {
    "id",
    "merchant",
    "customer",
    "customer_email",
    "total_amount",
    "currency",
    "num_installments",
    "interval",
    "start_date",
    "status",
    "created_at",
    "updated_at",
    "installments",
}
INSTALLMENT = {"id", "amount", "due_date", "status", "paid_at"}


@both("/auth/register/", "/api/auth/register/")
@pytest.mark.parametrize("role", ["merchant", "customer"])
def test_somebody_registers(nobody: Api, address: str, role: str) -> None:
    name = a_name("nora")
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    made = nobody.post(address, {**account, "role": role}, Authorization="Bearer nonsense")
    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "username": name,
        "email": f"{name}@example.com",
        "role": role,
    }


@both("/token/", "/api/token/")
@pytest.mark.parametrize("name", ["username", "email"])
def test_omar_signs_in_with_name_or_email(omar: Person, nobody: Api, address: str, name: str) -> None:
    answer = nobody.post(address, {"username": getattr(omar, name), "password": PASSWORD})
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}


@both("/token/refresh/", "/api/token/refresh/")
def test_omar_exchanges_his_refresh_token(omar: Person, nobody: Api, address: str) -> None:
    pair = nobody.post("/token/", {"username": omar.username, "password": PASSWORD}).json()
    answer = nobody.post(address, {"refresh": pair["refresh"]})
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    assert answer.json()["refresh"] != pair["refresh"]


@both("/auth/me/", "/api/auth/me/")
def test_omar_asks_who_he_is(omar: Person, nobody: Api, address: str) -> None:
    answer = omar.api.get(address)
    assert answer.json() == {"id": omar.id, "username": omar.username, "email": omar.email, "role": "customer"}
    problem(nobody.get(address), 401, "no_token")


@both("/api/plans/")
def test_amal_makes_a_plan(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    body = {
        "customer_email": omar.email.upper(),
        "total_amount": 100,
        "num_installments": "3",
        "start_date": "2026-08-31",
    }
    made = amal.api.post(address, body)
    assert made.status_code == 201
    found = made.json()
    assert set(found) >= PLAN
    assert (found["merchant"], found["customer"]) == (amal.id, omar.id)
    assert (found["total_amount"], found["currency"], found["interval"]) == ("100.00", "SAR", "monthly")
    assert [(part["amount"], part["due_date"], part["paid_at"]) for part in found["installments"]] == [
        ("33.34", "2026-08-31", None),
        ("33.33", "2026-09-30", None),
        ("33.33", "2026-10-31", None),
    ]
    assert found["created_at"].endswith("Z") and "." in found["created_at"]
    assert made.headers["Location"] == f"/api/plans/{found['id']}/"
    problem(omar.api.post(address, body), 403, "forbidden")
    problem(nobody.post(address, body), 401, "no_token")


@both("/api/plans/")
def test_both_parties_list_the_plan(nobody: Api, address: str) -> None:
    amal, omar, sara = merchant(nobody), customer(nobody), customer(nobody)
    made = plan(amal, omar.email)
    assert amal.api.get(address).json() == [made]
    assert omar.api.get(address).json() == [made]
    assert sara.api.get(address).json() == []


@both("/api/plans/{plan}/")
def test_both_parties_see_the_plan(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    made = plan(amal, omar.email)
    where = address.format(plan=made["id"])
    assert amal.api.get(where).json() == omar.api.get(where).json() == made
    problem(customer(nobody).api.get(where), 404, "not_found")
    problem(merchant(nobody).api.get(where), 404, "not_found")
    problem(omar.api.get("/api/plans/999999999999999999999/"), 404, "not_found")
    problem(omar.api.get("/api/plans/9999999999999999999/"), 404, "not_found")


@both("/api/plans/installments/")
def test_omar_lists_his_installments_soonest_first(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    later, sooner = plan(amal, omar.email), plan(amal, omar.email, start_date="2026-07-15")
    found = omar.api.get(address).json()
    assert [part["due_date"] for part in found] == sorted(part["due_date"] for part in found)
    assert {part["id"] for part in found} == {part["id"] for made in (later, sooner) for part in made["installments"]}
    assert set(found[0]) >= INSTALLMENT


@both("/api/plans/installments/{installment}/")
def test_both_parties_see_one_installment(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    part = plan(amal, omar.email)["installments"][1]
    where = address.format(installment=part["id"])
    assert amal.api.get(where).json() == omar.api.get(where).json() == part
    problem(customer(nobody).api.get(where), 404, "not_found")


@both("/api/plans/{plan}/installments/")
def test_both_parties_see_a_plans_installments(amal: Person, omar: Person, address: str) -> None:
    made = plan(amal, omar.email)
    where = address.format(plan=made["id"])
    assert amal.api.get(where).json() == omar.api.get(where).json() == made["installments"]


@both("/api/plans/installments/{installment}/pay/")
def test_omar_pays(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    part = plan(amal, omar.email)["installments"][0]
    where = address.format(installment=part["id"])
    problem(amal.api.post(where), 403, "forbidden")
    problem(merchant(nobody).api.post(where), 404, "not_found")
    problem(customer(nobody).api.post(where), 404, "not_found")
    paid = omar.api.post(where)  # no body and no content type
    assert paid.status_code == 200
    assert paid.json()["status"] == "paid" and paid.json()["paid_at"]
    assert paid.json()["payment"]["state"] == "succeeded"
    problem(omar.api.post(where), 409, "already_paid")


@pytest.mark.parametrize(
    ("card", "code"), [("card_declined", "declined"), ("card_insufficient_funds", "insufficient_funds")]
)
def test_a_declined_card_pays_nothing(amal: Person, omar: Person, card: str, code: str) -> None:
    part = plan(amal, omar.email)["installments"][0]
    problem(omar.api.post(f"/api/plans/installments/{part['id']}/pay/", {"payment_method": card}), 402, code)
    assert omar.api.get(f"/api/plans/installments/{part['id']}/").json()["status"] == part["status"]


def test_of_two_simultaneous_payments_one_is_made_and_the_other_is_told(amal: Person, omar: Person) -> None:
    for _ in range(10):
        where = f"/api/plans/installments/{plan(amal, omar.email)['installments'][0]['id']}/pay/"
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda where: omar.api.as_(omar.api.token).post(where), [where, where])
        paid, told = sorted((one, other), key=lambda answer: answer.status_code)
        assert paid.status_code == 200 and paid.json()["status"] == "paid", paid.text
        problem(told, 409, "already_paid")


def test_another_amount_than_is_owed_pays_nothing(amal: Person, omar: Person) -> None:
    part = plan(amal, omar.email)["installments"][0]
    where = f"/api/plans/installments/{part['id']}/pay/"
    assert problem(omar.api.post(where, {"amount": "33.33"}), 409, "amount_changed")["remaining"] == "33.34"
    for method in ("4242", ""):
        problem(omar.api.post(where, {"payment_method": method}), 422, "unknown_method")
    assert omar.api.post(where, {"amount": 33.34}).status_code == 200


@both("/api/payments/{payment}/")
def test_a_payment_whose_answer_was_lost_can_be_looked_at(
    amal: Person, omar: Person, nobody: Api, address: str
) -> None:
    part = plan(amal, omar.email)["installments"][0]
    sent = omar.api.post(f"/api/plans/installments/{part['id']}/pay", {"payment_method": "card_lost_charged"})
    assert sent.status_code == 202
    payment = sent.json()["payment"]
    assert payment["state"] == "in_flight" and sent.json()["status"] != "paid"
    assert sent.headers["Location"] == f"/api/payments/{payment['id']}/"
    where = address.format(payment=payment["id"])
    found = amal.api.get(where).json()
    assert found == omar.api.get(where).json() or found["state"] == "in_flight"  # a worker may settle it meanwhile
    assert (found["plan"], found["amount"], found["installments"][0]["installment"]) == (
        part["plan"],
        "33.34",
        part["id"],
    )
    problem(customer(nobody).api.get(where), 404, "not_found")


@both("/api/payments/", "/api/plans/{plan}/payments/")
def test_both_parties_list_payments(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    made = plan(amal, omar.email)
    paid = omar.api.post(f"/api/plans/installments/{made['installments'][0]['id']}/pay/").json()["payment"]
    where = address.format(plan=made["id"])
    found = omar.api.get(where).json()
    assert [(one["id"], one["state"], one["amount"]) for one in found] == [(paid["id"], "succeeded", "33.34")]
    assert amal.api.get(where).json() == found


@both("/api/plans/preview/")
def test_amal_sees_a_plan_before_making_it(amal: Person, omar: Person, address: str) -> None:
    terms = {"total_amount": "1000.00", "num_installments": 3, "start_date": "2026-01-31", "interval": "monthly"}
    found = amal.api.post(address, terms)
    assert found.status_code == 200
    assert [(row["amount"], row["due_date"]) for row in found.json()["installments"]] == [
        ("333.34", "2026-01-31"),
        ("333.33", "2026-02-28"),
        ("333.33", "2026-03-31"),
    ]
    problem(omar.api.post(address, terms), 403, "forbidden")


@both("/api/analytics/dashboard/", "/api/plans/analytics/dashboard/", "/api/analytics/merchant/")
def test_amal_reads_her_dashboard(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    made = plan(amal, omar.email, total_amount="400.00", num_installments=4, start_date="2020-01-01")
    for part in made["installments"][:3]:
        omar.api.post(f"/api/plans/installments/{part['id']}/pay/")
    answer = amal.api.get(address)
    assert '"total_revenue":300.00' in answer.text
    assert answer.json() == {
        "total_revenue": 300.0,
        "overdue_installments": 1,
        "success_rate": 75.0,
        "currency": "SAR",
        "by_currency": [],
    }
    problem(omar.api.get(address), 403, "forbidden")
    problem(nobody.get(address), 401, "no_token")


@both("/api/analytics/ageing/")
def test_amal_reads_how_old_her_debts_are(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan(amal, omar.email, start_date="2020-01-01")
    found = amal.api.get(address).json()
    assert (found["outstanding"], found["days_over_90"], found["not_due"]) == ("100.00", "100.00", "0.00")
    problem(omar.api.get(address), 403, "forbidden")


@both("/api/docs/", "/swagger/")
def test_anyone_reads_the_docs(nobody: Api, address: str) -> None:
    answer = nobody.get(address, Authorization="Bearer nonsense")
    assert answer.status_code == 200 and "swagger-ui-bundle" in answer.text


@both("/api/openapi.json/")
def test_anyone_reads_the_document(nobody: Api, address: str) -> None:
    answer = nobody.get(address)
    assert answer.json()["openapi"].startswith("3.1")


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", "installments/")])
def test_nobody_changes_or_deletes_a_plan(amal: Person, omar: Person, method: str, path: str) -> None:
    made = plan(amal, omar.email)
    for person in (amal, omar):
        answer = person.api.call(method, f"/api/plans/{made['id']}/{path}", {"total_amount": "1.00"})
        problem(answer, 405, "method_not_allowed")
        assert "GET" in answer.headers["Allow"]


def test_what_the_old_system_got_wrong(amal: Person, omar: Person, nobody: Api) -> None:
    terms = {"customer_email": omar.email, "start_date": "2026-08-31"}
    small = amal.api.post("/api/plans/", {**terms, "total_amount": "0.05", "num_installments": 10})
    problem(small, 422, "total_too_small")
    seven = amal.api.post("/api/plans/", {**terms, "total_amount": "0.03", "num_installments": 7})
    problem(seven, 422, "total_too_small")
    for count in (0, 61):
        answer = amal.api.post("/api/plans/", {**terms, "total_amount": "100", "num_installments": count})
        problem(answer, 422, "bad_number")
    early = plan(amal, omar.email, start_date="2199-12-31", num_installments=1)
    assert omar.api.post(f"/api/plans/installments/{early['installments'][0]['id']}/pay/").status_code == 200
    assert omar.api.get(f"/api/plans/{early['id']}/").json()["status"] == "completed"
    late = plan(amal, omar.email, start_date="2020-01-01")
    assert (late["status"], late["installments"][0]["status"]) == ("overdue", "late")
    account = {"username": a_name("again"), "email": omar.email.upper(), "password": PASSWORD, "password2": PASSWORD}
    problem(nobody.post("/auth/register/", {**account, "role": "customer"}), 422, "email_taken")
    unknown = f"{a_name('new')}@example.com"
    made = plan(amal, unknown)
    assert made["customer_email"] == unknown
    taken = {"username": a_name("new"), "email": unknown, "password": PASSWORD, "password2": PASSWORD}
    problem(nobody.post("/auth/register/", {**taken, "role": "customer"}), 422, "email_invited")


def test_lists_come_in_pages_that_stay_right(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    made = [plan(amal, omar.email, external_id=f"order-{number}")["id"] for number in range(5)]
    first = amal.api.get("/api/plans/?limit=2&status=overdue")
    assert [one["id"] for one in first.json()] == made[:-3:-1]
    plan(amal, omar.email)  # comes first now, and shifts nothing
    second = amal.api.get(first.links["next"]["url"].removeprefix(amal.api.url))
    assert [one["id"] for one in second.json()] == [made[2], made[1]]
    third = amal.api.get(second.links["next"]["url"].removeprefix(amal.api.url))
    assert [one["id"] for one in third.json()] == [made[0]] and "Link" not in third.headers
    oldest = amal.api.get("/api/plans/?sort=id&limit=1").json()
    assert [one["id"] for one in oldest] == [made[0]]


def test_lists_are_filtered(nobody: Api) -> None:
    amal, omar, sara = merchant(nobody), customer(nobody), customer(nobody)
    old, new = plan(amal, omar.email, start_date="2020-01-31"), plan(amal, sara.email, start_date="2199-01-01")
    assert [one["id"] for one in amal.api.get("/api/plans/?status=overdue").json()] == [old["id"]]
    assert [one["id"] for one in amal.api.get(f"/api/plans/?customer_email={sara.email.upper()}").json()] == [new["id"]]
    assert amal.api.get(f"/api/plans/?customer_email={sara.email[:5]}").json() == []
    between = amal.api.get("/api/plans/installments/?due_after=2020-01-31&due_before=2020-03-31").json()
    assert [one["due_date"] for one in between] == ["2020-02-29"]
    late = amal.api.get(f"/api/plans/installments/?status=late&customer_email={omar.email}&sort=-due_date").json()
    assert [one["due_date"] for one in late] == ["2020-03-31", "2020-02-29", "2020-01-31"]
    assert amal.api.get("/api/payments/?status=declined").json() == []


def test_plans_are_filtered_by_their_next_due_date(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    old, new = plan(amal, omar.email, start_date="2020-01-31"), plan(amal, omar.email, start_date="2199-01-01")
    done = plan(amal, omar.email, start_date="2020-01-31", num_installments=1)
    assert omar.api.post(f"/api/plans/{done['id']}/pay/", {"choice": "all"}).status_code == 200

    def found(query: str) -> list[int]:
        answers = [person.api.get(f"/api/plans/?sort=id&{query}").json() for person in (amal, omar)]
        assert answers[0] == answers[1]
        return [one["id"] for one in answers[0]]

    assert found("due_before=2020-02-01") == [old["id"]] and found("due_before=2020-01-31") == []
    assert found("due_after=2020-01-30") == [old["id"], new["id"]] and found("due_after=2020-01-31") == [new["id"]]
    assert found("due_after=2020-01-30&due_before=2199-01-01") == [old["id"]]
    problem(amal.api.get("/api/plans/?due_before=20200201"), 422, "bad_date")
    omar.api.post(f"/api/plans/installments/{old['installments'][0]['id']}/pay/")
    assert found("due_before=2020-02-29") == [] and found("due_before=2020-03-01") == [old["id"]]


def test_a_plans_installments_are_filtered_and_come_in_pages(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    made = plan(amal, omar.email, start_date="2190-01-01", num_installments=60, interval="weekly", total_amount="60.00")
    plan(amal, omar.email, start_date="2199-01-01")
    where = f"/api/plans/{made['id']}/installments/"
    ids = [one["id"] for one in made["installments"]]
    assert omar.api.post(f"/api/plans/installments/{ids[1]}/pay/").status_code == 200

    def found(query: str) -> list[int]:
        return [one["id"] for one in amal.api.get(f"{where}?{query}").json()]

    whole = amal.api.get(where)
    assert [one["id"] for one in whole.json()] == ids and "Link" not in whole.headers
    assert found("status=paid") == [ids[1]] and found("status=pending") == [ids[0], *ids[2:]]
    assert found("due_after=2190-01-01&due_before=2190-01-22") == ids[1:3]
    first = omar.api.get(f"{where}?limit=2&status=pending")
    assert [one["id"] for one in first.json()] == [ids[0], ids[2]]
    second = omar.api.get(first.links["next"]["url"].removeprefix(omar.api.url))
    assert [one["id"] for one in second.json()] == ids[3:5]
    (fault,) = problem(amal.api.get(f"{where}?cursor=x"), 422, "bad_cursor")["errors"]
    assert (fault["pointer"], fault["in"]) == ("#/cursor", "query")
    problem(merchant(nobody).api.get(f"{where}?limit=2"), 404, "not_found")


def test_the_documented_shape_is_exact(amal: Person, omar: Person) -> None:
    made = plan(amal, omar.email)
    text = amal.api.get(f"/api/plans/{made['id']}/").text
    assert json.loads(text, parse_float=lambda digits: pytest.fail(f"a float: {digits}")) == made
