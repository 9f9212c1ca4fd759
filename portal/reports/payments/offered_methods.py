"""Payment methods that the active gateway offers to every customer, for pages, API and mails."""

from collections.abc import Sequence

from portal.gateways import payment as gateway
from portal.gateways.payment import OfferedMethod

__all__ = ["OfferedMethod", "are_simulated", "default_token", "find", "list_methods"]


def list_methods() -> Sequence[OfferedMethod]:
    """The methods that the gateway offers, such as test cards, the default first."""
    return gateway.active().offered_methods()


def find(token: str) -> OfferedMethod | None:
    """The offered method with this token, or None, for example for a saved method's token."""
    return next((method for method in list_methods() if method.token == token), None)


def default_token() -> str:
    """The method of a request that names none. Empty, and no method, if the gateway offers none."""
    return next((method.token for method in list_methods()), "")


def are_simulated() -> bool:
    """Whether payments move no real money. Pages and the API's document say so."""
    return gateway.active().is_simulated
