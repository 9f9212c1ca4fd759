"""A file of digests of breached passwords, read by bisection."""

import hashlib
from pathlib import Path

import pytest

from portal.gateways import breached_passwords
from tests.conftest import LogLines

PASSWORDS = [f"green boat {number}" for number in range(3000)]


def digest(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def written(path: Path, passwords: list[str], end: str) -> Path:
    path.write_bytes("".join(f"{one}{end}" for one in sorted(map(digest, passwords))).encode())
    return path


@pytest.mark.parametrize("end", ["\n", ":12\r\n", ":3\n"])
@pytest.mark.parametrize("count", [1, 2, 3, 100, 3000])
def test_each_password_of_the_file_is_found_and_no_other(tmp_path: Path, count: int, end: str) -> None:
    path = written(tmp_path / "digests", PASSWORDS[:count], end)
    assert all(breached_passwords.contains(path, password) for password in PASSWORDS[:count])
    assert not any(breached_passwords.contains(path, f"red boat {number}") for number in range(300))


def test_lines_of_different_lengths_and_lower_case_are_read(tmp_path: Path) -> None:
    lines = sorted(digest(password).lower() + ":" + "9" * (number % 9) for number, password in enumerate(PASSWORDS))
    path = tmp_path / "digests"
    path.write_text("\n".join(lines))
    assert all(breached_passwords.contains(path, password) for password in PASSWORDS)
    assert not breached_passwords.contains(path, "red boat")


def test_a_file_that_is_gone_refuses_no_password_and_is_logged(tmp_path: Path, log_lines: LogLines) -> None:
    assert not breached_passwords.contains(tmp_path / "none", "green boat 1")
    assert [line["event"] for line in log_lines()] == ["breached_passwords.unreadable"]
