"""The projector in Lambda: what the queue of doorbells calls with a batch."""

from __future__ import annotations

from handlers.projector.__main__ import build
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment

_settings = from_environment()
handler = build(Application(_settings, "projector"), configure("projector", _settings.log_level))
"""Catches rows up; answers which messages come back, see ``handlers.projector``."""
