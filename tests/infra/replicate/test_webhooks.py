from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from domain.errors import WebhookRefused
from infra.separators.replicate.webhooks import verify

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"id": "p1", "status": "succeeded"}'
NOW = 1_790_000_000_000


def signed(secret: str = SECRET, body: bytes = BODY, time: str = "1790000000") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1." + time.encode() + b"." + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"Webhook-Id": "msg_1", "webhook-timestamp": time, "WEBHOOK-SIGNATURE": signature}


SIGNATURE = signed()["WEBHOOK-SIGNATURE"]


def test_what_replicate_signed() -> None:
    assert verify(signed(), BODY, SECRET, NOW) == "msg_1"


def test_the_example_of_the_standard() -> None:
    """The test vector of the Standard Webhooks specification."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert verify(headers, b'{"test": 2432232314}', secret, 1_614_265_330_000)


def test_one_of_several_signatures_is_enough() -> None:
    headers = signed()
    good = headers["WEBHOOK-SIGNATURE"]
    headers["WEBHOOK-SIGNATURE"] = f"v1,AAAA v2,{good[3:]} \u00e9 {good}"
    assert verify(headers, BODY, SECRET, NOW)


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_clock_that_is_a_little_off(seconds: int) -> None:
    assert verify(signed(), BODY, SECRET, NOW + 1000 * seconds)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_too_old_or_from_the_future(seconds: int) -> None:
    with pytest.raises(WebhookRefused, match="tolerated"):
        verify(signed(), BODY, SECRET, NOW + 1000 * seconds)


@pytest.mark.parametrize("name", list(signed()))
def test_without_one_of_its_headers(name: str) -> None:
    headers = {k: v for k, v in signed().items() if k != name}
    with pytest.raises(WebhookRefused, match=name.lower()):
        verify(headers, BODY, SECRET, NOW)


@pytest.mark.parametrize(
    ("headers", "body", "secret"),
    [
        (signed(), BODY + b" ", SECRET),
        (signed("whsec_AAAA"), BODY, SECRET),
        ({**signed(), "Webhook-Id": "msg_2"}, BODY, SECRET),
        ({**signed(), "webhook-timestamp": "1790000001"}, BODY, SECRET),
        ({**signed(), "webhook-timestamp": "now"}, BODY, SECRET),
        ({**signed(), "webhook-timestamp": "²"}, BODY, SECRET),
        ({**signed(), "WEBHOOK-SIGNATURE": ""}, BODY, SECRET),
        ({**signed(), "WEBHOOK-SIGNATURE": SIGNATURE[3:]}, BODY, SECRET),
        ({**signed(), "WEBHOOK-SIGNATURE": SIGNATURE.replace("v1", "v2")}, BODY, SECRET),
        (signed("whsec_"), BODY, "whsec_"),
        (signed(), BODY, "whsec_no base64"),
    ],
)  # fmt: skip
def test_what_was_not_signed_so(headers: dict[str, str], body: bytes, secret: str) -> None:
    with pytest.raises(WebhookRefused) as caught:
        verify(headers, body, secret, NOW)
    assert secret.removeprefix("whsec_") not in str(caught.value) or secret == "whsec_"
