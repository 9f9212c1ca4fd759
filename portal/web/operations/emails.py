"""The outbox: the state of each email and, without a mail server, its content.

The list is for operators. Subjects and content are readable in development only: they hold texts of plans and links
that open accounts. In development without SMTP, listening on this machine only, a browser needs no account: the links
in emails have to be followed there. It needs the link that the terminal of `qist dev` shows, because other people may
use this machine, or reach it through a proxy or a tunnel.
"""

import hashlib
import hmac
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.config import LOOPBACK
from portal.errors import NotFound, Refused
from portal.models import Email
from portal.models.emails import EMAIL_STATES
from portal.reports.operations import emails as reports
from portal.services.mail import delivery
from portal.web import rate_limits
from portal.web.authorization import lacks_factor, my_actor, needs, sign_in_first, signed_in_user
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.middleware.security_headers import POLICY
from portal.web.respond import confidential, go, page
from portal.wording.refusals import sentence

bp = Blueprint("outbox", __name__)

PAGE_LENGTH: Final = 30
COOKIE: Final = "qist_outbox"
COOKIE_SECONDS: Final = 30 * 86_400
FORWARDING: Final = re.compile(
    r"forward|proxy|^(x|cf|fly|fastly|tailscale|ngrok|cloudfront|true|client)-|^(via|cdn-loop|front-end-https)$"
)
"""Headers by which a proxy or a tunnel shows itself. Browsers send none of them by themselves."""
OWN_HEADERS: Final = frozenset({"x-csrftoken", "x-requested-with"})
"""Headers that a page's own scripts may send."""
SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
MAIL_POLICY: Final = (
    f"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; "
    f"sandbox {SANDBOX}"
)
"""Policy of an email's HTML: inline styles are allowed, no resource is loaded and no script runs."""


@bp.get("/outbox/open/<outbox_token>")
def enter(outbox_token: str) -> Response:
    """The link of the terminal: exchange its token for a cookie of this browser."""
    token: str = current_app.config["QIST"].outbox_token
    if not is_local() or not hmac.compare_digest(outbox_token.encode("utf-8", "replace"), token.encode()):
        raise NotFound()
    response = confidential(go(url_for("outbox.index")))
    response.set_cookie(COOKIE, _cookie(), max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", path="/")
    return response


@bp.get("/outbox")
def index() -> ResponseReturnValue:
    """Every email, newest first."""
    if (refusal := _refuse()) is not None:
        return refusal
    query = ListQuery()
    state = query.choice("state", EMAIL_STATES)
    return list_page(
        query,
        lambda: reports.list_mails(state=state, limit=PAGE_LENGTH, cursor=query.cursor),
        rows="mails",
        page="operations/emails_index.html",
        states=EMAIL_STATES,
        can_read=can_read(),
    )


@bp.get("/outbox/<int:outbox_id>")
def show(outbox_id: int) -> ResponseReturnValue:
    """The state of one email and, where it is readable, its content."""
    if (refusal := _refuse()) is not None:
        return refusal
    response = page("operations/emails_show.html", mail=_email(outbox_id), can_read=can_read(), sandbox=SANDBOX)
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-src 'self'"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@bp.get("/outbox/<int:outbox_id>/html")
def html(outbox_id: int) -> ResponseReturnValue:
    """The email's HTML, for the frame in its page."""
    if (refusal := _refuse()) is not None:
        return refusal
    email = _email(outbox_id)
    if email.html is None or not can_read():
        raise NotFound()
    response = Response(email.html.replace("<head>", '<head><base target="_blank">', 1), mimetype="text/html")
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/outbox/<int:outbox_id>/resend")
@rate_limits.writing
@needs("operate")
def resend(outbox_id: int) -> ResponseReturnValue:
    """Queue a dead email again."""
    _email(outbox_id)
    try:
        delivery.resend(outbox_id, actor=my_actor())
    except Refused as refused:
        flash(sentence(refused), "info")
    else:
        flash(_("The mail is tried again now."), "success")
    return go(url_for("outbox.show", outbox_id=outbox_id))


def can_read() -> bool:
    """Whether subjects and content are readable: this is not a production installation."""
    return not current_app.config["QIST"].production


def is_open_here() -> bool:
    """Whether this request may read emails without an account: from this machine, with the cookie of its terminal."""
    cookie = request.cookies.get(COOKIE, "")
    return is_local() and hmac.compare_digest(cookie.encode(), _cookie().encode())


def is_local() -> bool:
    """The request comes from this machine, in development without SMTP, through no proxy or tunnel.

    The request's host name is checked too: a DNS record of another site can point to this machine (DNS rebinding).
    """
    settings = current_app.config["QIST"]
    if settings.smtp_host is not None or not settings.demo_logins_work or not settings.secret_key:
        return False
    names = [name.lower() for name, _value in request.headers]
    if any(FORWARDING.search(name) and name not in OWN_HEADERS for name in names):
        return False
    hosts = urlsplit(settings.public_url).hostname, urlsplit(f"//{request.host}").hostname
    return _is_loopback(request.remote_addr) and all(host in LOOPBACK or _is_loopback(host) for host in hosts)


def _cookie() -> str:
    """The cookie for which the token is exchanged. It opens the outbox, and can't be exchanged itself."""
    return hashlib.sha256(f"cookie {current_app.config['QIST'].outbox_token}".encode()).hexdigest()


def _refuse() -> Response | None:
    """The sign-in page for a request without an account. Raises Forbidden unless the user is an operator."""
    if is_open_here():
        return None
    if signed_in_user() is None:
        return sign_in_first()
    if lacks_factor():
        return go(url_for("second_factors.index"))
    my_actor().require("operate")
    return None


def _email(outbox_id: int) -> Email:
    email = reports.find(outbox_id)
    if email is None:
        raise NotFound()
    return email


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
