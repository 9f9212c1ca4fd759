"""The parts of the document that depend on the payment gateway.

Docstrings and descriptions of the schemas contain placeholders such as `{gateway:methods}`.
"""

from collections.abc import Sequence

from portal.reports.payments.offered_methods import OfferedMethod

NAMED = 6
"""Methods that a description names."""


def gateway_words(methods: Sequence[OfferedMethod], *, simulated: bool) -> dict[str, str]:
    """The text of each placeholder, for a gateway that offers these methods."""
    names = [method.token for method in methods]
    listed = ", ".join([f"{name} (the default)" for name in names[:1]] + names[1:NAMED])
    listed += " ..." if len(names) > NAMED else ""
    such_as = f", such as {names[0]}." if names else "."
    if simulated:
        words = {
            "methods": f"a test card: {listed}",
            "default": "the test card that succeeds",
            "shown": "The test card",
            "card": "The gateway is simulated, so it is one of its test cards. There are no card numbers.",
            "example": f"A test card{such_as}",
            "outcome": "The gateway is simulated, and its test cards decide the outcome. ",
            "save": " It is simulated, so the card is one of its test cards.",
        }
    else:
        words = {
            "methods": f"a token of the gateway{': ' if names else ''}{listed}",
            "default": "the gateway's first method",
            "shown": "The gateway's method",
            "card": "There are no card numbers.",
            "example": f"A token of the gateway{such_as}",
            "outcome": "",
            "save": "",
        }
    return {f"{{gateway:{name}}}": text for name, text in words.items()}
