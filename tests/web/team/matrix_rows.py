"""The rows of tests/matrix/test_matrix.py for teams and usual terms, and the objects that their addresses name."""

from typing import Any, Final

from portal.extensions import db
from portal.models import TeamInvitation
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import Terms
from portal.services.team import invitations
from tests.fixtures import people

OWNERS: Final = (303, 403, 403, 200, 200, 403, 303, 303)
OWN: Final = (303, 403, 403, 200, 404, 403, 303, 303)
BUTTON: Final = (303, 403, 403, 303, 404, 403, 303, 303)

PAGES: Final = {
    "GET /settings/team": OWNERS,
    "POST /settings/team/invitations": (303, 403, 403, 422, 422, 403, 303, 303),
    "POST /settings/team/invitations/<int:invitation_id>/send-again": BUTTON,
    "POST /settings/team/invitations/<int:invitation_id>/revoke": BUTTON,
    "GET /settings/team/<int:member_id>": OWN,
    "POST /settings/team/<int:member_id>": (303, 403, 403, 422, 404, 403, 303, 303),
    "GET /settings/team/<int:member_id>/hand-over": OWN,
    "POST /settings/team/<int:member_id>/hand-over": (303, 403, 403, 409, 404, 403, 303, 303),  # the member owes
    "GET /settings/team/<int:member_id>/remove": OWN,
    "POST /settings/team/<int:member_id>/remove": BUTTON,
    "GET /team-invitations/<team_token>": (200,) * 8,
    "POST /team-invitations/<team_token>": (303, 403, 403, 403, 403, 403, 303, 303),  # of another email
    "POST /account/invitations/<int:team_invitation_id>": (303, 404, 404, 404, 404, 404, 303, 303),
    "POST /dashboard/first-steps": (303, 403, 403, 303, 303, 403, 303, 303),
    "GET /settings/terms": OWNERS,
    "POST /settings/terms": (303, 403, 403, 422, 422, 403, 303, 303),
    "GET /settings/terms/<int:terms_id>": OWN,
    "POST /settings/terms/<int:terms_id>": (303, 403, 403, 422, 404, 403, 303, 303),
    "POST /settings/terms/<int:terms_id>/move": BUTTON,
    "POST /settings/terms/<int:terms_id>/remove": BUTTON,
    "GET /account/businesses": (303, 200, 200, 200, 200, 200, 303, 303),
    "GET /account/businesses/<int:merchant_id>/leave": (303, 404, 404, 200, 404, 404, 303, 303),
    "POST /account/businesses/<int:merchant_id>/leave": (303, 404, 404, 409, 404, 404, 303, 303),  # the last owner
}


def objects_of(merchant_id: int) -> dict[str, Any]:
    """The business, a member who owes it, its invitations and usual terms: one for each act, because an act ends it."""
    count = db.session.scalar(db.select(db.func.count(TeamInvitation.id))) or 0
    name = f"member-{merchant_id}-{count}"
    member_id = people.a_member(name, merchant_id, "viewer")
    people.a_plan(merchant_id, f"{name}@example.com")
    ids = []
    for email in ("asked-again", "revoked", "invited"):
        invitations.invite(people.owner(merchant_id), email=f"{email}-{count}@example.com", role="viewer")
        ids.append(db.session.scalar(db.select(db.func.max(TeamInvitation.id))) or 0)
    terms = [
        usual_terms.add(people.owner(merchant_id), Terms(f"{name} {number}", 3, "monthly", None, 30))
        for number in (1, 2)
    ]
    return {
        "terms_id": terms[0],
        "removed_terms_id": terms[1],
        "merchant_id": merchant_id,
        "member_id": member_id,
        "asked_again_id": ids[0],
        "revoked_id": ids[1],
        "team_invitation_id": ids[2],
    }


def in_address(rule: str, route: str, objects: dict[str, Any]) -> str:
    """The address with the ids of these objects."""
    return (
        rule.replace("<int:invitation_id>", str(objects["revoked_id" if "revoke" in route else "asked_again_id"]))
        .replace("<int:team_invitation_id>", str(objects["team_invitation_id"]))
        .replace("<team_token>", str(objects.get("team_token")))
        .replace("<int:terms_id>", str(objects["removed_terms_id" if "remove" in route else "terms_id"]))
        .replace("<int:member_id>", str(objects["member_id"]))
        .replace("<int:merchant_id>", str(objects["merchant_id"]))
    )
