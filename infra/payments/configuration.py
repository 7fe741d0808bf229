"""What selling takes: all of it, or none."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from domain.errors import Invalid
from infra.settings import PREFIX, Settings


class Configuration(Struct, frozen=True):
    """api_base: instead of Stripe's own address, empty for that. webhook_secrets: each is valid.

    return_url: the page that the browser comes back to.
    """

    api_key: str
    api_base: str
    webhook_secrets: tuple[str, ...]
    return_url: str


def configured(settings: Settings) -> Configuration | None:
    """What the settings say; None where nothing is sold.

    Raises Invalid for half of it: money must not be taken that no webhook will tell of.
    """
    key = settings.stripe_api_key.strip()
    if not key:
        return None
    secrets = tuple(s.strip() for s in settings.stripe_webhook_secrets.split(",") if s.strip())
    if not secrets:
        raise Invalid(
            f"There is a Stripe API key, so set {PREFIX}STRIPE_WEBHOOK_SECRETS too (whsec_..., of "
            "the endpoint /v1/webhooks/stripe): without it nobody gets what they pay for."
        )
    url = settings.checkout_return_url.strip()
    if not _is_web_page(url):
        raise Invalid(
            f"There is a Stripe API key, so set {PREFIX}CHECKOUT_RETURN_URL too: the https:// page "
            f"that the browser comes back to after paying, not {url!r}."
        )
    return Configuration(key, settings.stripe_api_base.strip().rstrip("/"), secrets, url)


def _is_web_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname)
