"""The page of the account's factors, and the page that shows recovery codes."""

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from wtforms import HiddenField, StringField

from portal.errors import NotFound, Refused
from portal.services.security import passkeys, second_factors
from portal.web.authorization import me, must_turn_factor_on
from portal.web.forms import Form, Needed, OneLine
from portal.web.respond import confidential, go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence


class PasskeyForm(Form):
    name = StringField(_l("Name of the passkey"), [Needed(_l("Enter a name, such as “phone”.")), OneLine()])
    credential = HiddenField()


def index(status: int, *, problem: str = "", passkey_form: PasskeyForm | None = None) -> Response:
    """The page of the account's second factors."""
    party = passkeys.relying_party()
    return page(
        "security/second_factors_index.html",
        status,
        state=second_factors.state(me().id),
        passkeys=passkeys.of_user(me().id),
        must=must_turn_factor_on(),
        party=party,
        is_origin=party is not None and request.host_url.rstrip("/") == party.origin,
        form=passkey_form or PasskeyForm(formdata=None),
        problem=problem,
        asks_off="off" in request.args,
    )


def tell_of_first(is_first: bool) -> None:
    """Say that the account's first factor ended its other sessions."""
    if is_first:
        flash(_("Every other browser is signed out."), "info")


def refused(error: Refused | NotFound) -> Response:
    """The page with the reason why nothing changed; as it is now, if what was asked about is gone."""
    if isinstance(error, NotFound):
        return go(url_for("second_factors.index"))
    return index(error.status, problem=sentence(error))


def codes_page(codes: list[str]) -> Response:
    """New recovery codes, shown once."""
    return confidential(page("security/second_factors_codes.html", 201, codes=codes))
