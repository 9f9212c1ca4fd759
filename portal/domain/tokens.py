"""Digests of secret tokens, and keys derived from SECRET_KEY. The database holds digests and ciphertexts only."""

import base64
import functools
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

ENCODING: Final = "utf-8"


class Undecryptable(Exception):
    """No key of this installation made this ciphertext, or it was changed."""


def digest(token: str) -> bytes:
    """The SHA-256 digest of a token (32 bytes). Tokens hold 128 random bits or more, so no slow hash is needed.

    Takes any text that a client sends, lone surrogates included.
    """
    return hashlib.sha256(token.encode(ENCODING, "surrogatepass")).digest()


@functools.cache
def derive(secret: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose only: HKDF-SHA256 (RFC 5869), one block, without salt."""
    extracted = hmac.digest(b"\x00" * 32, secret.encode(), "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")


def encrypt(secrets: tuple[str, ...], purpose: str, text: str) -> str:
    """The ciphertext of a text under the first of the secrets (`Settings.secret_keys`): Fernet, ASCII.

    Fernet is AES-128 in CBC mode with HMAC-SHA256. A purpose names one use and a version, such as "second factors v1":
    the ciphertext of one use can't be decrypted as that of another.
    """
    return _cipher(secrets, purpose).encrypt(text.encode()).decode()


def decrypt(secrets: tuple[str, ...], purpose: str, ciphertext: str) -> str:
    """The text of a ciphertext that `encrypt` made under any of the secrets. Raises Undecryptable."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(secrets, purpose).decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        raise Undecryptable() from None


def encrypt_again(secrets: tuple[str, ...], purpose: str, ciphertext: str) -> str:
    """The same text under the first of the secrets, after a change of SECRET_KEY. Raises Undecryptable."""
    return encrypt(secrets, purpose, decrypt(secrets, purpose, ciphertext))


@functools.cache
def _cipher(secrets: tuple[str, ...], purpose: str) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet  # 4 MB that only the delivery of webhooks needs in a worker

    return MultiFernet([Fernet(base64.urlsafe_b64encode(derive(secret, purpose))) for secret in secrets])
