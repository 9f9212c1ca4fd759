"""The caller's own profile: name, phone, language, and whether merchants remind early."""

import msgspec
from flask import Blueprint
from spectree.models import Tag

from portal.api import parsing, schemas
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
    if faults := _faults(msgspec.structs.asdict(json)):
        raise Invalid(*faults)
    profiles.update(
        caller().id,
        full_name=json.name,
        phone=json.phone,
        language=_code(json.language),
        early_reminders=json.early_reminders,
    )
    return schemas.profile(db.session.get_one(User, caller().id, populate_existing=True))


@parsing.further_faults(schemas.ProfileChange)
def _faults(values: parsing.Values) -> list[Fault]:
    found = profiles.faults(full_name=values.get("name"), phone=values.get("phone"))
    faults = [fault.at("name") if fault.field == "full_name" else fault for fault in found]
    if _code(values.get("language")) == "":
        faults.append(Fault("language", "unknown_language", names=tuple(map(language.tag, language.offered()))))
    return faults


def _code(tag: str | None) -> str | None:
    """The catalogue of a language tag, in any case: "" for an unknown one, None for none."""
    codes = {language.tag(code).lower(): code for code in language.offered()}
    return None if tag is None else codes.get(tag.strip().lower(), "")
