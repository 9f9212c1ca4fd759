"""The caller's own profile: name, phone, language, and whether merchants remind early."""

from flask import Blueprint
from spectree.models import Tag

from portal.api import schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint
from portal.errors import Fault, Invalid
from portal.extensions import db
from portal.models import User
from portal.services.privacy import profiles
from portal.wording import language

bp = Blueprint("api_profiles", __name__)
ADDRESS = "/api/profile/"
TAG = Tag("Profile", "What a person keeps on their account for themselves.")


@endpoint(bp, "GET", ADDRESS, ok={200: schemas.Profile}, tag=TAG, needs="pay")
def show() -> schemas.Profile:
    """Your profile

    Under every hat. An API key has none.
    """
    return schemas.profile(db.session.get_one(User, caller().id))


@endpoint(
    bp,
    "PATCH",
    ADDRESS,
    ok={200: schemas.Profile},
    tag=TAG,
    needs="pay",
    writes=True,
    refuses={422: ("bad_phone", "unknown_language")},
)
def update(json: schemas.ProfileChange) -> schemas.Profile:
    """Change your profile

    `early_reminders` turns the reminders before a due date on or off; those of the day itself and later ones stay.
    """
    codes = {language.tag(code).lower(): code for code in language.offered()}
    code = None if json.language is None else codes.get(json.language.strip().lower(), "")
    words = {"full_name": json.name, "phone": json.phone}
    faults = (
        []
        if code != ""
        else [Fault("language", "unknown_language", names=tuple(map(language.tag, language.offered())))]
    )
    faults += [fault.at("name") if fault.field == "full_name" else fault for fault in profiles.faults(**words)]
    if faults:
        raise Invalid(*faults)
    profiles.update(caller().id, **words, language=code, early_reminders=json.early_reminders)
    return schemas.profile(db.session.get_one(User, caller().id, populate_existing=True))
