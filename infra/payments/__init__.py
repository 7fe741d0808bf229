"""Payments through Stripe, with its own SDK.

Only what sells imports ``infra.payments.gateway``: the SDK takes a quarter of a second to load.
"""

from infra.payments.configuration import Configuration, configured

__all__ = ["Configuration", "configured"]
