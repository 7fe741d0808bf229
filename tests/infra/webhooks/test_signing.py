"""Signatures that the specification's own library verifies."""

from __future__ import annotations

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from infra.webhooks import new_secret, signed_headers

BODY = '{"type":"job.completed","data":{"name":"Für Élise"}}'.encode()


def now() -> int:
    return round(time.time() * 1000)


def test_the_specifications_library_verifies_what_we_sign() -> None:
    secret = new_secret(b"k" * 32)
    headers = signed_headers("msg_1", now(), BODY, [secret])
    assert Webhook(secret).verify(BODY, headers)["type"] == "job.completed"
    for changed in (BODY + b" ", BODY.replace(b"job", b"jab")):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, headers)
    for name, value in (("webhook-id", "msg_2"), ("webhook-timestamp", str(now() // 1000 - 1))):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, headers | {name: value})


def test_with_two_secrets_who_knows_one_can_verify() -> None:
    old, new, other = (new_secret(bytes([n]) * 32) for n in range(3))
    headers = signed_headers("msg_1", now(), BODY, [new, old])
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)


def test_what_is_signed_too_long_ago_is_not_taken() -> None:
    secret = new_secret(b"k" * 32)
    headers = signed_headers("msg_1", now() - 600_000, BODY, [secret])
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers)
