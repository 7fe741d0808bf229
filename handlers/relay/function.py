"""The relay in Lambda: what the stream of the events table calls with its records."""

from __future__ import annotations

from handlers.relay import Relay
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment

_settings = from_environment()
configure("relay", _settings.log_level)
handler = Relay(Application(_settings, "relay").bus)
"""Publishes a batch of commits; answers which it could not, see ``handlers.relay``."""
