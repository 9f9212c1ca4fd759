"""Breached passwords: a file of the operator's with SHA-1 digests in order, as Have I Been Pwned offers it.

A line is 40 hexadecimal digits, and may go on with a colon and a count. The file is read where it lies, by bisection:
40 reads for a thousand million lines, and no memory. No password and no digest leaves this machine.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

DIGITS: Final = 40
"""Hexadecimal digits of a SHA-1 digest."""
MAX_LINE: Final = 200
"""Bytes of a line that are read."""


def contains(path: Path, password: str) -> bool:
    """Whether the file has the digest of this password (in NFC). An unreadable file has none, with a log line."""
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().encode()
    try:
        with open(path, "rb") as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            while low < high:
                middle = (low + high) // 2
                file.seek(middle)
                if middle:
                    file.seek(middle - 1)
                    file.readline(MAX_LINE)
                line = file.readline(MAX_LINE)[:DIGITS].lower()
                if line == wanted:
                    return True
                if line and line < wanted:
                    low = max(file.tell(), middle + 1)
                else:
                    high = middle
    except OSError as error:
        log.error("breached_passwords.unreadable", reason=error.strerror)
    return False
