"""Tokens of the unsubscribe link in reminders. A token turns early reminders off without signing in."""

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer

from portal.extensions import db
from portal.models import User


def token_of(customer_id: int) -> str:
    """The signed token of this customer. It never expires, and permits only turning early reminders off."""
    return _signer().dumps(customer_id)


def customer_of(token: str) -> User | None:
    """The customer of a token; None when the signature is wrong or the account is gone."""
    try:
        customer_id = _signer().loads(token)
    except BadSignature:
        return None
    return db.session.get(User, customer_id) if isinstance(customer_id, int) else None


def _signer() -> URLSafeSerializer:
    keys = current_app.config["QIST"].secret_keys
    return URLSafeSerializer(list(reversed(keys)), salt="early-reminders")  # it signs with the last one
