"""A client of Qist's JSON API, with nothing but Python's standard library."""

from qist_client.api import Client
from qist_client.transport import NoAnswer, Page, Problem

__all__ = ["Client", "NoAnswer", "Page", "Problem"]
