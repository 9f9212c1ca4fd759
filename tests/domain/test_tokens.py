"""The digest of a token: SHA-256, for any text that a client sends."""

import hashlib

from portal.domain.tokens import digest


def test_it_is_the_sha_256_digest_of_the_text() -> None:
    assert digest("a-token") == hashlib.sha256(b"a-token").digest()


def test_different_texts_have_different_digests() -> None:
    assert len({digest(text) for text in ("", "a", "A", "a ", "\x00", "é", "e\u0301")}) == 7


def test_a_lone_surrogate_has_a_digest() -> None:
    assert len(digest("\ud800")) == 32
