"""The outbox: what was mailed, and on a laptop without a mail server each mail as it would look.

Operators see the list. Mails themselves can be read where they go nowhere else: without SMTP. On a laptop (development,
no SMTP, listening on this machine only) anybody on the machine may, because the links in them have to be followed.
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, flash, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.errors import Invalid, NotFound, Refused
from portal.models import Email
from portal.models.emails import EMAIL_STATES
from portal.reports.operations import emails as reports
from portal.reports.paging import Page
from portal.services.mail import delivery
from portal.web import rate_limits
from portal.web.guards import me, role_needed, sign_in_first, somebody
from portal.web.middleware.security_headers import POLICY
from portal.web.respond import go, page

bp = Blueprint("outbox", __name__)

PAGE_LENGTH: Final = 30
SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
MAIL_POLICY: Final = (
    f"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; "
    f"sandbox {SANDBOX}"
)
"""For a mail's own HTML: its styles stand in it; nothing is loaded, and nothing runs."""


@bp.get("/outbox")
def index() -> ResponseReturnValue:
    """Every mail, newest first."""
    if (refusal := _refuse()) is not None:
        return refusal
    state, cursor = request.args.get("state", "").strip(), request.args.get("cursor", "").strip()
    wrong = bool(state and state not in EMAIL_STATES)
    found: Page[Email] = Page([], None)
    if not wrong:
        try:
            found = reports.list_mails(state=state or None, limit=PAGE_LENGTH, cursor=cursor or None)
        except Invalid:
            wrong = True
    return page(
        "operations/emails_index.html",
        400 if wrong else 200,
        mails=found.items,
        next_cursor=found.next_cursor,
        cursor=cursor,
        wrong=wrong,
        chosen="" if wrong else state,
        states=EMAIL_STATES,
        can_read=can_read(),
    )


@bp.get("/outbox/<int:outbox_id>")
def show(outbox_id: int) -> ResponseReturnValue:
    """One mail: what became of it and, where it can be read, what it says."""
    if (refusal := _refuse()) is not None:
        return refusal
    answer = page("operations/emails_show.html", mail=_find(outbox_id), can_read=can_read(), sandbox=SANDBOX)
    answer.headers["Content-Security-Policy"] = f"{POLICY}; frame-src 'self'"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@bp.get("/outbox/<int:outbox_id>/html")
def html(outbox_id: int) -> ResponseReturnValue:
    """The mail's own HTML, for the frame in its page."""
    if (refusal := _refuse()) is not None:
        return refusal
    mail = _find(outbox_id)
    if mail.html is None or not can_read():
        raise NotFound()
    answer = Response(mail.html.replace("<head>", '<head><base target="_blank">', 1), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = MAIL_POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.post("/outbox/<int:outbox_id>/resend")
@rate_limits.writing
@role_needed("operator")
def resend(outbox_id: int) -> ResponseReturnValue:
    """Try a dead mail again."""
    _find(outbox_id)
    try:
        delivery.resend(outbox_id)
    except Refused as refused:
        if refused.code != "not_dead":
            raise
        flash(refused.message, "info")
    else:
        flash("The mail is tried again now.", "success")
    return go(url_for("outbox.show", outbox_id=outbox_id))


def can_read() -> bool:
    """Whether mails can be read here: they go nowhere else, or this is no installation that people rely on."""
    settings = current_app.config["QIST"]
    return settings.smtp_host is None or not settings.production


def is_open_here() -> bool:
    """Whether whoever asks may read mails without signing in: a laptop that sends none, asked from itself.

    The name that was asked for counts too: a site elsewhere can make its own name lead to this machine.
    """
    settings = current_app.config["QIST"]
    if settings.smtp_host is not None or not settings.demo_logins_work:
        return False
    names = {"localhost", "127.0.0.1", "::1", urlsplit(settings.public_url).hostname}
    return _is_loopback(request.remote_addr) and urlsplit(f"//{request.host}").hostname in names


def _refuse() -> Response | None:
    """The sign-in page for strangers; raises Forbidden for everybody but operators."""
    if is_open_here():
        return None
    if somebody() is None:
        return sign_in_first()
    access.require(me(), "operator")
    return None


def _find(outbox_id: int) -> Email:
    mail = reports.find(outbox_id)
    if mail is None:
        raise NotFound()
    return mail


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
