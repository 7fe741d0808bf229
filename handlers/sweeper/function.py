"""The sweeper in Lambda: each minute what the processes of the local stack do in threads."""

from __future__ import annotations

from typing import Any

from handlers.sweeper.__main__ import build, build_healing
from handlers.sweeper.work_metric import publish
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment

_settings = from_environment()
_log = configure("sweeper", _settings.log_level)
_application = Application(_settings, "sweeper")
_sweeper, _healing = build(_application, _log), build_healing(_application, _log)
# What others wait for first. The night comes last: it may take all the time there is.
_ROUND = (
    lambda: publish(_application),
    _healing.pulse,
    _sweeper.sweep,
    _healing.answer_dead,
    _healing.resumed,
    _healing.flipped,
    _healing.nightly,
)


def handler(_event: Any, _context: Any = None) -> None:
    """One round; a part that fails keeps none of the others from its turn, and comes again."""
    for part in _ROUND:
        try:
            part()
        except Exception:
            _log.exception("sweep failed")
