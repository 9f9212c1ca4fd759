"""Rehearse a restore in containers: `python docs/restores.py http://127.0.0.1:8000`, in the folder of compose.yaml.

Two customers of a new business pay. After the dump one of them erases their data. The volumes are deleted, the dump is
restored on new ones with the commands of docs/deployment.md, and the list of erasures is applied. Exit code 1 unless
the erased person is in no row of the new database, and the other one has what they had. **All data of the installation
is replaced**: it is one for trials, and takes registrations and plans at once (docs/updates.py says which settings).
"""

import http.cookiejar
import json
import re
import secrets
import shlex
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PASSWORD = "seven green boats"  # noqa: S105 of this run's accounts
PARTS = 4
DUMP = "docker compose exec -T database pg_dump --username=qist --format=custom --no-owner --no-privileges qist"
LIST = "docker compose run --rm -T migrate qist erasures --export -"
RESTORE = """
docker compose down --volumes
docker compose up --detach --wait database
docker compose exec -T database dropdb --username=qist --force --if-exists qist
docker compose exec -T database createdb --username=qist --template=template0 qist
docker compose exec -T database pg_restore --username=qist --exit-on-error --single-transaction --no-owner \
--no-privileges --dbname=qist < qist.dump
docker compose run --rm migrate
docker compose run --rm -T migrate qist erase-again - < qist-erasures.jsonl
docker compose run --rm migrate qist check
docker compose up --detach --wait
"""
ROWS = "docker compose exec -T database pg_dump --username=qist --data-only --inserts qist"


class Browser:
    """A client that keeps cookies, also without TLS, and fills the token into forms."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        policy = http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar(policy))
        self.opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> tuple[int, str]:
        return self._open(urllib.request.Request(self.url + path))  # noqa: S310 the address of the caller

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(path)[1])
        body = urllib.parse.urlencode(fields | ({"csrf_token": token[1]} if token else {})).encode()
        return self._open(urllib.request.Request(self.url + path, body, {"Referer": self.url + path}))  # noqa: S310

    def api(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310
        status, text = self._open(request)
        return status, json.loads(text)

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self.opener.open(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def told(answer: tuple[int, Any], *wanted: int) -> Any:
    """The body of an answer with one of the `wanted` statuses."""
    assert answer[0] in (wanted or (200, 201)), answer
    return answer[1]


def people(url: str) -> tuple[str, dict[str, str]]:
    """Register a business and two customers, each with a plan that is paid. Returns the business, and ids by name."""
    client, run = Browser(url), secrets.token_hex(4)
    names = {role: f"{role}-{run}" for role in ("shop", "stays", "leaves")}
    for role, name in names.items():
        account = {
            "username": name,
            "email": f"{name}@example.com",
            "role": "merchant" if role == "shop" else "customer",
        }
        told(client.api("POST", "/auth/register/", {**account, "password": PASSWORD, "password2": PASSWORD}))
    tokens = {role: sign_in(client, name)[1]["access"] for role, name in names.items()}
    for role in ("stays", "leaves"):
        terms = {"total_amount": f"{PARTS}.00", "num_installments": PARTS, "start_date": str(datetime.now(UTC).date())}
        terms |= {"customer_email": f"{names[role]}@example.com", "description": "A lamp"}
        plan = told(client.api("POST", "/api/plans/", terms, tokens["shop"]))
        for part in plan["installments"]:
            told(client.api("POST", f"/api/plans/installments/{part['id']}/pay/", {}, tokens[role]))
    return names


def sign_in(client: Browser, name: str) -> tuple[int, Any]:
    return client.api("POST", "/token/", {"username": name, "password": PASSWORD})


def erase(url: str, name: str) -> None:
    """Sign in on the page, and erase the account there."""
    browser = Browser(url)
    browser.post("/login", login=name, password=PASSWORD)
    status, page = browser.post("/account/erasure", password=PASSWORD)
    if status != 200 or "Your data is erased" not in page:
        sys.exit(f"not erased: {status} {re.sub('<[^>]+>', ' ', page)[:2000]}")


def run(line: str, folder: Path) -> bytes:
    """Carry out a command of docs/deployment.md. Returns what it prints."""
    command, _, file = line.partition(" < ")
    stdin = (folder / file).read_bytes() if file else None
    print(f"$ {line}", flush=True)
    done = subprocess.run(shlex.split(command), input=stdin, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {done.stderr.decode()[-2000:]}")
    return done.stdout


def main() -> int:
    url = sys.argv[1]
    names = people(url)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "qist.dump").write_bytes(run(DUMP, folder))
        erase(url, names["leaves"])
        erased = run(LIST, folder)
        (folder / "qist-erasures.jsonl").write_bytes(erased)
        for line in RESTORE.strip().splitlines():
            sys.stdout.write(run(line, folder).decode())
        rows = run(ROWS, folder).decode()
    client = Browser(url)
    plans = told(client.api("GET", "/api/plans/", None, told(sign_in(client, names["shop"]))["access"]))
    paid = sorted(str(plan["status"]) for plan in plans)
    found = {role: rows.count(name) for role, name in names.items()}
    again = {role: sign_in(client, name)[0] for role, name in names.items()}
    print(f"erasures listed: {len(erased.splitlines())}; plans of the business: {paid}")
    print(f"sign-ins: {again}; times that a name is in the rows: {found}")
    kept = paid == ["completed"] * 2 and again["stays"] == again["shop"] == 200 and found["stays"] > 0
    return 0 if kept and erased and again["leaves"] == 401 and not found["leaves"] else 1


if __name__ == "__main__":
    sys.exit(main())
