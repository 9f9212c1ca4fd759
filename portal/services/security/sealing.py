"""Seal secrets that the database must be able to give back, under keys derived from SECRET_KEY (domain/tokens.py).

`about` names the row, so that a sealed text that was copied to another row does not open. Texts that were sealed under
SECRET_KEY_PREVIOUS open, too.
"""

from typing import Literal

from flask import current_app

from portal.domain import tokens

Purpose = Literal["second factors v1", "kept forms v1"]


class Unopenable(ValueError):
    """The sealed text was changed, belongs to another row, or no key of this installation sealed it."""


def seal(purpose: Purpose, text: str, *, about: str) -> bytes:
    """The sealed text, for a column of bytes. `about` holds no blank."""
    return tokens.encrypt(current_app.config["QIST"].secret_keys, purpose, f"{about} {text}").encode()


def unseal(purpose: Purpose, sealed: bytes, *, about: str) -> str:
    """The text that was sealed for this purpose and row. Raises Unopenable."""
    try:
        text = tokens.decrypt(current_app.config["QIST"].secret_keys, purpose, sealed.decode("latin-1"))
    except tokens.Undecryptable as error:
        raise Unopenable(purpose) from error
    row, _, rest = text.partition(" ")
    if row != about:
        raise Unopenable(purpose)
    return rest
