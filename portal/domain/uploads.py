"""The upload of a file: the one request whose body may be larger than that of a form."""

from typing import Final

PATH: Final = "/imports"
"""The address that takes a file."""
MAX_BYTES: Final = 2 * 1024 * 1024
"""Bytes of a file."""
BODY_BYTES: Final = MAX_BYTES + 64 * 1024
"""Bytes of the request: the file, the form's other fields, and the borders between the parts."""
