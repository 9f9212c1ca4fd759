"""Digests of secret tokens. The database holds digests only."""

import hashlib


def digest(token: str) -> bytes:
    """The SHA-256 digest of a token (32 bytes). Tokens hold 128 random bits or more, so no slow hash is needed.

    Takes any text that a client sends, lone surrogates included.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
