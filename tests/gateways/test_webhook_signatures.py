"""Signatures of webhooks, by the example of Standard Webhooks 1.0."""

from portal.gateways import webhook_signatures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAME, SECONDS, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_is_that_of_the_published_example() -> None:
    assert webhook_signatures.signature(SECRET, NAME, SECONDS, BODY) == SIGNATURE


def test_a_request_has_a_signature_by_each_secret() -> None:
    other = webhook_signatures.new_secret()
    headers = webhook_signatures.headers(NAME, SECONDS, BODY, (other, SECRET))
    assert headers["webhook-id"] == NAME and headers["webhook-timestamp"] == str(SECONDS)
    first, second = str(headers["webhook-signature"]).split(" ")
    assert second == SIGNATURE and first == webhook_signatures.signature(other, NAME, SECONDS, BODY) != SIGNATURE


def test_each_secret_is_new_and_has_256_bits() -> None:
    made = {webhook_signatures.new_secret() for _ in range(100)}
    assert len(made) == 100 and all(len(secret) == len(webhook_signatures.SCHEME) + 44 for secret in made)
