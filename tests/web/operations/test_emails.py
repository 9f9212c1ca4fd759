"""The outbox: emails with their states and content, and the access to them."""

import dataclasses
import re
from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.extensions import db
from portal.models import ShopReport
from portal.services import events
from portal.services.accounts import accounts, api_keys, password_resets, sessions
from portal.services.mail import delivery
from portal.services.mail.content import kind_label
from portal.services.mail.facts import KINDS
from portal.services.notices import digests, settings
from portal.services.payments import refunds
from portal.services.plans import customer_emails, shop_reports
from portal.services.reminders import manual_reminders
from portal.wording.language import in_language
from tests.fixtures import agreements, mails, operations, people, webhooks
from tests.fixtures.business import CHANGES, PROPOSALS, changed_plans, proposed_days
from tests.fixtures.mails import Catcher, sending
from tests.fixtures.query_log import queries
from tests.services.security import factors
from tests.web import browser_of


@pytest.fixture
def stranger(client):
    """A browser of this machine that has not followed the terminal's link."""
    return client.application.test_client()


@pytest.fixture
def client(app, client):
    """A browser of this machine that followed the link of the terminal."""
    assert client.get(f"/outbox/open/{app.config['QIST'].outbox_token}").location == "/outbox"
    return client


@pytest.fixture
def kept(app, database):
    """The id of a receipt that is kept, because there is no mail server."""
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        people.an_operator()
        people.pay(people.installments_of(people.a_plan(amal, description="A <b>cake</b>"))[0].id, omar)
        delivery.drain()
        return mails.outbox()[0].id


@pytest.fixture
def changed(app):
    """A function that changes settings for the test."""
    before = app.config["QIST"]

    def change(**more):
        app.config["QIST"] = dataclasses.replace(app.config["QIST"], **more)

    yield change
    app.config["QIST"] = before


def test_in_development_without_smtp_emails_are_readable_from_this_machine(client, kept):
    assert "No mails yet" not in (listed := client.get("/outbox").text)
    for address in ("/outbox", f"/outbox/{kept}"):  # they show links that hold secrets
        assert "Content-Encoding" not in client.get(address, headers={"Accept-Encoding": "gzip"}).headers
    assert f'href="/outbox/{kept}"' in listed
    assert "We received your payment of SAR 33.34" in listed
    shown = client.get(f"/outbox/{kept}")
    assert "http://localhost/payments/" in shown.text
    assert "frame-src 'self'" in shown.headers["Content-Security-Policy"]
    frame = re.search(r"<iframe[^>]*>", shown.text)[0]
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    mail = client.get(f"/outbox/{kept}/html")
    policy = mail.headers["Content-Security-Policy"]
    assert "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'" in policy
    assert "sandbox allow-popups" in policy
    assert "script-src" not in policy
    assert (mail.headers["X-Frame-Options"], mail.headers["Cache-Control"]) == ("SAMEORIGIN", "no-store")
    assert "A &lt;b&gt;cake&lt;/b&gt;" in mail.text


def test_the_link_of_the_terminal_is_exchanged_for_a_cookie(app, kept, stranger):
    token = app.config["QIST"].outbox_token
    assert stranger.get("/outbox").status_code == 303
    for wrong in ("x", token[:-1] + "~", "\u0661"):
        assert stranger.get(f"/outbox/open/{wrong}").status_code == 404
    entered = stranger.get(f"/outbox/open/{token}")
    assert entered.headers["Cache-Control"] == "no-store" and token not in entered.headers["Set-Cookie"]
    assert "HttpOnly" in entered.headers["Set-Cookie"]
    assert stranger.get("/outbox").status_code == 200
    stranger.set_cookie("qist_outbox", token)
    assert stranger.get("/outbox").status_code == 303, "the token itself is no cookie"


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Anything",
        "Via",
        "X-Real-IP",
        "CF-Connecting-IP",
        "Cf-Ray",
        "X-Envoy-External-Address",
        "X-Amzn-Trace-Id",
        "X-Original-URL",
        "X-Scheme",
        "Fly-Client-IP",
        "Tailscale-User-Login",
        "True-Client-IP",
        "WL-Proxy-Client-IP",
        "Front-End-Https",
    ],
)
def test_a_proxy_or_a_tunnel_opens_no_outbox(app, client, kept, stranger, header):
    through = {"headers": {header: "127.0.0.1"}}
    for path in ("/outbox", f"/outbox/{kept}", f"/outbox/{kept}/html"):
        assert client.get(path, **through).status_code == 303
    assert stranger.get(f"/outbox/open/{app.config['QIST'].outbox_token}", **through).status_code == 404
    assert client.get("/outbox").status_code == 200


def test_the_headers_of_a_browser_and_of_the_pages_scripts_open_it(client, kept):
    headers = {"X-Requested-With": "XMLHttpRequest", "X-CSRFToken": "x", "Sec-Fetch-Mode": "cors"}
    assert client.get(f"/outbox/{kept}", headers=headers).status_code == 200


def test_a_public_address_opens_no_outbox(app, client, kept, changed):
    changed(public_url="https://pay.example.org")
    assert client.get("/outbox").status_code == 303
    assert client.get("/outbox", headers={"Host": "pay.example.org"}).status_code == 303


@pytest.mark.long
def test_every_link_in_every_email_leads_to_a_page(app, database, monkeypatch):
    monkeypatch.setattr(password_resets, "REQUEST_SECONDS", 0.0)
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        settings.choose(people.owner(amal), on=settings.NOTICES, at_once=True)
        first, second = people.installments_of(people.a_plan(amal, count=2))
        people.pay(first.id, omar, "card_declined")
        delivery.drain()
        paid = people.pay(first.id, omar)
        people.pay(second.id, omar)
        changed_plans(amal)
        proposed_days(amal)
        people.bounce(people.pay(people.installments_of(people.a_plan(amal))[0].id, omar).id)
        refunds.refund(paid.plan_id, actor=people.owner(amal), amount=100, reason="Too dear", payment_id=paid.id)
        people.a_plan(amal, "nadia@example.com", first=-1)
        manual_reminders.send_now(people.a_plan(amal, first=-2), actor=people.owner(amal))
        nadia = people.a_plan(amal, "nadia@example.com", first=-2)
        manual_reminders.send_now(nadia, actor=people.owner(amal))
        people.an_operator()
        shop_reports.report(people.token_of(people.a_plan(amal, "huda@example.com")))
        delivery.drain()
        report_id = db.session.scalar(db.select(ShopReport.id))
        shop_reports.clear(report_id, actor=operations.olga())
        for right in ("omar@example.com", "ruqaya@example.com"):
            customer_emails.correct(people.a_plan(amal, "wrong@example.com"), right, actor=people.owner(amal))
        for browser in ("one", "two"):
            sessions.start(omar, browser=browser)
        api_keys.create(people.owner(amal), name="Till")
        webhooks.a_gone_endpoint(people.owner(amal))
        factors.send_every_mail(omar)
        new = "eleven red kites"
        accounts.change_password(people.sara(), current=people.PASSWORD, new=new, keep_session_id=None)
        password_resets.ask("omar")
        delivery.drain()
        password_resets.ask("nadia@example.com")
        agreements.send_every_mail(amal, omar, operations.olga().user_id)
        events.number_new()
        with time_machine.travel(clock.now() + timedelta(days=1)):
            digests.post_due()
            delivery.drain()
        operations.send_every_kind(app, amal, people.a_customer("mona"))
        delivery.drain()
        kept = [(mail.kind, mail.html, mail.to_user_id) for mail in mails.outbox() if mail.state == "kept"]
        layla = next(user_id for kind, _, user_id in kept if kind == "payment_voided")
    elsewhere = {kind for kind in KINDS if kind.startswith(("email_", "team_"))}
    assert {kind for kind, *_ in kept} == set(KINDS) - {"automatic_stopped"} - elsewhere
    readers = {"merchant": browser_of(app, "amal"), "operator": browser_of(app, "olga")}
    readers["digest"] = readers["bounce_notice"] = readers["plan_news"] = readers["merchant"]
    readers["merchants"] = readers["dispute_notice"] = readers["shop_reported"] = readers["operator"]
    readers["api_key_made"] = readers["webhook_address"] = readers["webhook_disabled"] = readers["merchant"]
    names = {kind: kind.removeprefix("plan_").removeprefix("payment_") for kind in CHANGES}
    readers |= {kind: browser_of(app, f"layla-{name}") for kind, name in names.items()}
    readers["plan_news"] = readers["merchant"]
    readers |= {f"reschedule_{name}": browser_of(app, f"layla-{name}") for name in PROPOSALS}
    omars = browser_of(app, "omar")
    live = set()
    for kind, html, user_id in kept:
        for link in re.findall(r'href="([^"]+)"', html):
            path = link.removeprefix("http://localhost")
            reader = readers.get(kind) or readers.get(kind.partition("_")[0], omars)
            reader = readers["payment_voided"] if user_id == layla else reader
            status = reader.get(path or "/").status_code
            assert status in (200, 303), (kind, path, status)
            live |= {kind} if status == 200 and "/invitations/" in path else set()
    assert live == {
        "invitation",
        "reminder",
        "invitation_again",
    }  # a later email does not disable the links of an earlier one


def test_from_another_machine_or_host_name_only_operators_read_emails(app, client, kept):
    away = {"REMOTE_ADDR": "203.0.113.9"}
    rebound = {"headers": {"Host": "rebound.example:8000"}}
    for path in ("/outbox", f"/outbox/{kept}", f"/outbox/{kept}/html"):
        assert client.get(path, environ_base=away).status_code == 303
        assert client.get(path, **rebound).status_code == 303
    assert browser_of(app, "omar").get("/outbox", environ_base=away).status_code == 403
    assert browser_of(app, "olga").get("/outbox", environ_base=away).status_code == 200


@pytest.mark.parametrize("more", [{"host": "0.0.0.0"}, {"env": "production"}, {"smtp_host": "mail.example.org"}])
def test_with_smtp_or_a_public_address_only_operators_see_the_list(app, client, kept, changed, more):
    omar, olga = browser_of(app, "omar"), browser_of(app, "olga")
    changed(**more)
    assert client.get("/outbox").status_code == 303
    assert omar.get(f"/outbox/{kept}").status_code == 403
    assert olga.get("/outbox").status_code == 200


@pytest.mark.parametrize("smtp_host", [None, "mail.example.org"])
def test_in_production_operators_see_neither_subjects_nor_content(app, kept, changed, smtp_host):
    olga = browser_of(app, "olga")
    changed(env="production", smtp_host=smtp_host)
    for shown in (olga.get("/outbox"), olga.get(f"/outbox/{kept}")):
        assert "Receipt" in shown.text and "omar@example.com" in shown.text
        assert "We received your payment" not in shown.text and "cake" not in shown.text
    assert "iframe" not in shown.text
    assert "/payments/" not in shown.text
    assert olga.get(f"/outbox/{kept}/html").status_code == 404


def test_an_unknown_email_is_404(client, kept):
    for path in ("/outbox/999999", "/outbox/999999/html", f"/outbox/{2**63}", "/outbox/0"):
        assert client.get(path).status_code == 404


def test_an_empty_outbox_says_so_and_an_invalid_address_is_400(client):
    assert "No mails yet" in client.get("/outbox").text
    assert "no mail in this state" in client.get("/outbox?state=dead").text
    assert client.get("/outbox?state=odd").status_code == 400
    assert client.get("/outbox?cursor=odd").status_code == 400


def test_the_list_has_pages_and_needs_one_query(app, client, kept):
    with app.app_context():
        db.session.execute(
            db.text(
                "INSERT INTO emails (dedupe_key, kind, to_user_id, state, next_try_at, created_at, ended_at,"
                " message_id, subject) SELECT 'k' || n, 'receipt', id, 'sent', now(), now(), now(), '<m>', 'Mail ' || n"
                " FROM generate_series(1, 40) AS n, (SELECT min(id) AS id FROM users) AS one"
            )
        )
        db.session.commit()
    with queries(app) as sent:
        first = client.get("/outbox").text
    assert len(sent) <= 1
    assert first.count('href="/outbox/') >= 30
    older = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    assert "We received your payment" in client.get(older).text


def test_the_operator_queues_a_dead_email_again(app, kept):
    with app.app_context():
        people.pay(db.session.scalar(db.text("SELECT max(id) FROM installments")), db.session.scalar(
            db.text("SELECT max(customer_id) FROM plans")))  # fmt: skip
        with Catcher() as catcher, sending(app, catcher):
            catcher.answer = lambda recipient: "550 5.1.1 nobody"
            delivery.drain()
        (dead,) = [mail.id for mail in mails.outbox() if mail.state == "dead"]
    olga = browser_of(app, "olga")
    assert "Send again" in olga.get(f"/outbox/{dead}").text
    assert olga.post(f"/outbox/{dead}/resend").location == f"/outbox/{dead}"
    assert "tried again now" in olga.get(f"/outbox/{dead}").text
    assert olga.post(f"/outbox/{dead}/resend").status_code == 303
    assert olga.post("/outbox/999999/resend").status_code == 404
    with app.app_context():
        assert [mail.state for mail in mails.outbox() if mail.id == dead] == ["waiting"]


@pytest.mark.usefixtures("arabic")
def test_every_kind_of_mail_has_a_name_for_operators_in_their_language(app):
    """A mail that waits has no subject yet, so lists show the kind."""
    with app.app_context():
        for language in ("en", "ar"):
            with in_language(language):
                names = {kind: kind_label(kind) for kind in KINDS}
            assert len(set(names.values())) == len(KINDS), language
            assert all(name.isascii() is (language == "en") for name in names.values()), language
        assert kind_label("of_another_version") == "of_another_version"
