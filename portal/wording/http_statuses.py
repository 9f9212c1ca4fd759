"""Names of HTTP statuses (RFC 9110, section 15)."""

from typing import Final

from portal.wording.lazy import lazy_gettext as _l

HTTP_STATUSES: Final = {
    400: _l("Bad Request"),
    401: _l("Unauthorized"),
    402: _l("Payment Required"),
    403: _l("Forbidden"),
    404: _l("Not Found"),
    405: _l("Method Not Allowed"),
    409: _l("Conflict"),
    413: _l("Request Entity Too Large"),
    415: _l("Unsupported Media Type"),
    422: _l("Unprocessable Entity"),
    429: _l("Too Many Requests"),
    500: _l("Internal Server Error"),
    503: _l("Service Unavailable"),
}
"""The statuses that an API response may have."""


def http_status(status: int) -> str:
    """The name of an HTTP status: "Not Found". Raises KeyError for a status that the API never sends."""
    return str(HTTP_STATUSES[status])
