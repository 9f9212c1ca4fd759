"""WebAuthn (W3C, level 3): the options of a challenge and the checks of a browser's answer, by the package webauthn.

The package takes a tenth of a process's start, so each function loads it on its first use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class NotVerified(ValueError):
    """The answer was not signed for the challenge and the relying party."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """The credential of a verified registration."""

    id: bytes
    public_key: bytes
    sign_count: int


def authentication_options(party: str, challenge: bytes, allowed: Sequence[bytes], *, verified: bool) -> str:
    """The JSON for `navigator.credentials.get`. `party` is the relying party's id; `verified`: PIN or finger needed."""
    import webauthn

    options = webauthn.generate_authentication_options(
        rp_id=party,
        challenge=challenge,
        allow_credentials=_descriptors(allowed) or None,
        user_verification=_verification(verified=verified),
    )
    return webauthn.options_to_json(options)


def registration_options(
    party: str, challenge: bytes, known: Sequence[bytes], *, user_id: int, name: str, display_name: str, verified: bool
) -> str:
    """The JSON for `navigator.credentials.create`. `known` are the account's credentials, which may not be added."""
    import webauthn
    from webauthn.helpers.structs import AuthenticatorSelectionCriteria, ResidentKeyRequirement

    options = webauthn.generate_registration_options(
        rp_id=party,
        rp_name="Qist",
        user_id=f"{user_id}".encode(),
        user_name=name,
        user_display_name=display_name,
        challenge=challenge,
        exclude_credentials=_descriptors(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=_verification(verified=verified)
        ),
    )
    return webauthn.options_to_json(options)


def verify_registration(answer: dict[str, Any], *, challenge: bytes, party: str, origin: str) -> NewCredential:
    """The new credential of a browser's answer. Raises NotVerified."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        verified = webauthn.verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=party, expected_origin=origin
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise NotVerified from error
    return NewCredential(verified.credential_id, verified.credential_public_key, verified.sign_count)


def verify_authentication(
    answer: dict[str, Any],
    *,
    challenge: bytes,
    party: str,
    origin: str,
    public_key: bytes,
    sign_count: int,
    verified: bool,
) -> tuple[bytes, int]:
    """The credential's id and its new counter. Raises NotVerified."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        checked = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party,
            expected_origin=origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=verified,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise NotVerified from error
    return checked.credential_id, checked.new_sign_count


def credential_id(answer: dict[str, Any]) -> bytes:
    """The id that the answer names; b"" if it is unreadable."""
    from webauthn.helpers import base64url_to_bytes

    try:
        return base64url_to_bytes(str(answer.get("rawId", "")))
    except ValueError:
        return b""


def _descriptors(ids: Sequence[bytes]) -> list[Any]:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(one) for one in ids]


def _verification(*, verified: bool) -> Any:
    from webauthn.helpers.structs import UserVerificationRequirement

    return UserVerificationRequirement.REQUIRED if verified else UserVerificationRequirement.PREFERRED
