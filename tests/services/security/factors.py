"""Second factors of accounts, and the codes that their apps show."""

import contextlib
from datetime import timedelta
from typing import Final

import pyotp

from portal.domain import clock
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.models import TotpSecret
from portal.services.operations import lost_factors
from portal.services.security import sealing, second_factors, sign_in_codes, sign_in_steps
from portal.services.unit_of_work import unit_of_work

STEP: Final = timedelta(seconds=second_factors.STEP_SECONDS)


def turn_on(user_id: int) -> list[str]:
    """Turn an authenticator app on. Returns the recovery codes. The code of the present step works afterwards."""
    second_factors.begin_app(user_id)
    step = _present_step()
    try:
        return second_factors.confirm_app(user_id, code_of(user_id, -1))
    except Invalid:
        if _present_step() == step:
            raise
        return second_factors.confirm_app(user_id, code_of(user_id, -1))  # the code grew too old on its way


def _present_step() -> int:
    return int(clock.now().timestamp()) // second_factors.STEP_SECONDS


@unit_of_work
def check(user_id: int, code: str) -> bool:
    """Use a code. Whether it was right; a wrong one is noted."""
    if second_factors.use_inside(user_id, code):
        return True
    second_factors.note_wrong_code(user_id)
    return False


def code_of(user_id: int, step: int = 0) -> str:
    """The code that the app of this account shows, `step` steps from now."""
    secret = sealing.unseal("second factors v1", db.session.get_one(TotpSecret, user_id).sealed, about=str(user_id))
    db.session.rollback()
    return pyotp.TOTP(secret).at(clock.now() + step * STEP)


def send_every_mail(user_id: int) -> None:
    """Post each kind of mail about the factors of an account, and leave it without a factor."""
    code = turn_on(user_id)[0]
    check(user_id, code)
    token = sign_in_steps.start(user_id)
    for _ in range(5):
        with contextlib.suppress(Refused, Invalid):
            sign_in_steps.use_code(token, "000000")
    sign_in_codes.ask("omar", "a browser")
    lost_factors.ask(user_id, actor=None, reason="Lost")
    second_factors.renew_codes(user_id)
    second_factors.remove_app(user_id)
