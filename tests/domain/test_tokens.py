"""Digests of tokens, keys derived from the secret key, and ciphertexts under them."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.domain.tokens import Undecryptable, decrypt, derive, digest, encrypt, encrypt_again


def test_it_is_the_sha_256_digest_of_the_text() -> None:
    assert digest("a-token") == hashlib.sha256(b"a-token").digest()


def test_different_texts_have_different_digests() -> None:
    assert len({digest(text) for text in ("", "a", "A", "a ", "\x00", "é", "e\u0301")}) == 7


def test_a_lone_surrogate_has_a_digest() -> None:
    assert len(digest("\ud800")) == 32


OLD, NEW = "an old secret key", "a new secret key"


def test_a_derived_key_is_hkdf_of_the_secret_for_one_purpose() -> None:
    """The same as the implementation of cryptography (RFC 5869)."""
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"a purpose v1")
    assert derive(OLD, "a purpose v1") == hkdf.derive(OLD.encode())
    assert len({derive(secret, purpose) for secret in (OLD, NEW) for purpose in ("one v1", "two v1")}) == 4


def test_a_ciphertext_is_read_with_any_of_the_keys_and_made_with_the_first() -> None:
    ciphertext = encrypt((OLD,), "seeds v1", "JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in ciphertext and ciphertext != encrypt((OLD,), "seeds v1", "JBSWY3DPEHPK3PXP")
    assert decrypt((NEW, OLD), "seeds v1", ciphertext) == "JBSWY3DPEHPK3PXP"
    moved = encrypt_again((NEW, OLD), "seeds v1", ciphertext)
    assert decrypt((NEW,), "seeds v1", moved) == "JBSWY3DPEHPK3PXP"


@pytest.mark.parametrize(
    ("secrets", "purpose", "change"), [((NEW,), "seeds v1", ""), ((OLD,), "others v1", ""), ((OLD,), "seeds v1", "x")]
)
def test_another_key_another_purpose_or_a_changed_text_does_not_decrypt(
    secrets: tuple[str, ...], purpose: str, change: str
) -> None:
    ciphertext = encrypt((OLD,), "seeds v1", "a seed")
    with pytest.raises(Undecryptable):
        decrypt(secrets, purpose, change + ciphertext)
