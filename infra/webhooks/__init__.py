"""Webhooks out, as Standard Webhooks has them (https://www.standardwebhooks.com): signed POSTs to
addresses that strangers choose, so nothing here trusts one.
"""

from __future__ import annotations

from infra.webhooks.addresses import AddressGuard, Resolver, Target, system_resolver
from infra.webhooks.sending import Answer, WebhookClient
from infra.webhooks.signing import new_secret, signed_headers

__all__ = [
    "AddressGuard",
    "Answer",
    "Resolver",
    "Target",
    "WebhookClient",
    "new_secret",
    "signed_headers",
    "system_resolver",
]
