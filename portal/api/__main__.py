"""`python -m portal.api` prints the page of error codes, docs/errors.md."""

import sys

import portal.api.setup  # noqa: F401 declares the endpoints
from portal.api.openapi import error_codes

sys.stdout.write(error_codes.page())
