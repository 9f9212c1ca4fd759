"""The signing secrets of endpoints. The database holds ciphertexts."""

from typing import Final

from flask import current_app

from portal.domain import clock, tokens
from portal.models import WebhookEndpoint

PURPOSE: Final = "webhook secrets v1"


def sealed(secret: str) -> str:
    """The ciphertext of a secret."""
    return tokens.encrypt(current_app.config["QIST"].secret_keys, PURPOSE, secret)


def seal_again(endpoint: WebhookEndpoint) -> None:
    """After a change of SECRET_KEY: encrypt the secret under the new key, so that the previous one can be removed."""
    keys = current_app.config["QIST"].secret_keys
    try:
        tokens.decrypt(keys[:1], PURPOSE, endpoint.secret)
    except tokens.Undecryptable:
        endpoint.secret = tokens.encrypt_again(keys, PURPOSE, endpoint.secret)


def secrets_of(endpoint: WebhookEndpoint) -> tuple[str, ...]:
    """The secrets that sign now: the present one, and the previous one while it counts. Raises tokens.Undecryptable."""
    keys = current_app.config["QIST"].secret_keys
    ciphertexts = [endpoint.secret]
    if endpoint.old_secret is not None and endpoint.old_secret_until is not None:
        ciphertexts += [endpoint.old_secret] if endpoint.old_secret_until > clock.now() else []
    return tuple(tokens.decrypt(keys, PURPOSE, ciphertext) for ciphertext in ciphertexts)
