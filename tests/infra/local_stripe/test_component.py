"""The stand-in as a part of the local stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.stack import LocalStack
from infra.local.stripe.component import StandIn
from infra.settings import PREFIX


def test_a_stand_in_comes_back_where_it_was(tmp_path: Path) -> None:
    first = StandIn.on(tmp_path)
    assert StandIn.on(tmp_path) == first
    settings = first.settings()
    assert settings == StandIn.on(tmp_path).settings()
    assert settings["SPLITSOUND_STRIPE_API_KEY"].startswith("sk_test_")
    assert settings["SPLITSOUND_STRIPE_WEBHOOK_SECRETS"].startswith("whsec_")
    assert settings["SPLITSOUND_STRIPE_API_BASE"] == first.url
    command = first.component({}, "http://127.0.0.1:8040").argv
    assert "http://127.0.0.1:8040/v1/webhooks/stripe" in command
    assert not [word for word in command if word.startswith(("sk_test_", "whsec_"))]


@pytest.mark.parametrize("shell", [True, False])
def test_an_account_of_the_users_own_is_used_as_it_is(tmp_path: Path, shell: bool) -> None:
    own = {"stripe_api_key": "sk_test_mine", "checkout_return_url": "https://shop.example/back"}
    named = {f"{PREFIX}{name.upper()}": value for name, value in own.items()}
    stack = LocalStack(tmp_path, settings={} if shell else own)
    tuning = stack._tuning(named if shell else {})
    tuning[f"{PREFIX}OIDC_PROVIDERS"] = "[...]"
    before = dict(tuning)
    stack.stand_ins.choose(tuning)
    assert tuning == before
    assert stack.stand_ins.payments is None


def test_without_an_account_there_is_a_stand_in(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path)
    tuning = stack._tuning({f"{PREFIX}STRIPE_API_KEY": ""})
    stack.stand_ins.choose(tuning)
    assert stack.stand_ins.payments is not None
    assert tuning[f"{PREFIX}STRIPE_API_BASE"] == stack.stand_ins.payments.url
    assert tuning[f"{PREFIX}CHECKOUT_RETURN_URL"].startswith(stack.stand_ins.payments.url)
