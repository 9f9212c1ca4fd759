"""The interface of a payment gateway.

A key names one charge or one refund. The gateway carries a key out once, however often a call repeats it. A charge or
refund has three outcomes: succeeded, declined, and unknown if no response came. No method of money raises; a failed
connection is an unknown outcome. Amounts are minor units of an ISO 4217 currency, instants are aware. Services call the
gateway with no transaction open.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection

from portal.gateways.payment.outcomes import OfferedMethod, Outcome, SavedCard

MAX_CALL_SECONDS: Final = 3.0
"""Time limit in seconds that a gateway sets for each call. After it the outcome is unknown."""


class BadSignature(Exception):
    """The callback is not signed by the gateway, or its signature is too old."""


class UnreadableCallback(Exception):
    """The callback is signed, but names no charge or refund."""


class PaymentGateway(Protocol):
    """The operations that Qist needs of a gateway. tests/gateways/test_payment_gateways.py is the contract as tests."""

    @property
    def is_simulated(self) -> bool:
        """Whether no real money moves. Pages, the API's document and the log of a production start say so."""

    def offered_methods(self) -> Sequence[OfferedMethod]:
        """The methods that every customer may pay with. The first is the default of a request that names none."""

    def is_known(self, token: str) -> bool:
        """Whether a customer may pay with this token, or save it, without having saved it before. Never raises."""

    def save_card(self, token: str) -> SavedCard | None:
        """Store the card of a known token, under a new token. Returns None if the gateway gives no answer."""

    def charge(self, key: str, amount: int, currency: str, token: str) -> Outcome:
        """Charge `amount` minor units under `key`, at most once for all calls with that key. Never raises.

        `token` is a known one or a saved card's. Succeeded and declined are final, and a repeated call returns the same
        outcome. Unknown: the charge may have happened, or may still happen.
        """

    def look_up(self, key: str) -> Outcome:
        """The current outcome of a charge; unknown if there is none yet. The key stays open. Never raises."""

    def resolve(self, key: str) -> Outcome:
        """The final outcome of a charge. Never raises.

        A key without a charge is closed, so that a delayed charge can't follow: it is declined as `not_charged`, now
        and in every later call. Unknown: no response; ask again.
        """

    def refund(self, key: str, charge_key: str, amount: int) -> Outcome:
        """Refund `amount` minor units of the charge under `charge_key`, at most once for all calls with `key`.

        Succeeded and declined are final. Declined as `charge_reversed` if the bank reversed the charge, and as
        `over_refunded` if the refunds would exceed it. Unknown: the refund may have happened. Never raises.
        """

    def look_up_refund(self, key: str) -> Outcome:
        """The current outcome of a refund; unknown if there is none yet. The key stays open. Never raises."""

    def resolve_refund(self, key: str) -> Outcome:
        """The final outcome of a refund. A key without one is closed as `not_refunded`. Never raises."""

    def callback_key(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The key of the charge or refund that this callback is about. The rest of its body is ignored.

        `headers` are those of the request, by their names with capitals (`Qist-Signature`). Raises BadSignature and
        UnreadableCallback.
        """

    def unacknowledged(self, limit: int, after: str | None = None) -> Sequence[str]:
        """At most `limit` keys of reversed charges, and of won disputes, that Qist has not acknowledged, oldest first.

        `after` is the last key of the previous page. A job asks every 15 seconds, so no lost callback loses one.
        May raise; the job asks again.
        """

    def reversals_query(self) -> str | None:
        """SQL with the parameter `:now` (aware): some row, whenever `unacknowledged` would return a key.

        None for a gateway whose record is not in this database: the job asks it each time.
        """

    def acknowledge(self, key: str) -> None:
        """Mark the reversal or the won dispute under this key as recorded, and list it no longer. May raise."""

    def check(self, connection: Connection) -> Sequence[tuple[str, int]]:
        """Codes of rules that compare the gateway's record with payments and refunds, and the violations of each.

        `connection` reads one snapshot of the database and can't write. `qist check` and the operator's page show the
        rules as portal/wording/checks.py words them. Empty if the gateway has no record that can be compared.
        """
