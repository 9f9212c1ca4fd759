"""Seal secrets that the database must be able to give back: AES-256-GCM under keys derived from SECRET_KEY.

Each purpose has a key of its own (HKDF-SHA256, RFC 5869). `about` names the row, so that a sealed text that was copied
to another row does not open. Texts that were sealed under SECRET_KEY_PREVIOUS open, too.
"""

import functools
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class Unopenable(ValueError):
    """The sealed text was changed, belongs to another row, or no key of this installation sealed it."""


def seal(purpose: str, text: bytes, *, about: str) -> bytes:
    """The sealed text, for a column of bytes."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    key = _derive(str(current_app.config["QIST"].secret_key), purpose)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, text, about.encode())


def unseal(purpose: str, sealed: bytes, *, about: str) -> bytes:
    """The text that was sealed for this purpose and row. Raises Unopenable."""
    settings = current_app.config["QIST"]
    version, nonce, box = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if version != _VERSION or len(nonce) != _NONCE_BYTES:
        raise Unopenable(purpose)
    for secret in (str(settings.secret_key), *settings.secret_key_previous):
        try:
            return AESGCM(_derive(secret, purpose)).decrypt(nonce, box, about.encode())
        except InvalidTag:
            continue
    raise Unopenable(purpose)


@functools.cache
def _derive(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"qist sealed {purpose} v1".encode()).derive(secret.encode())
