"""The janitor in Lambda: woken by its queue, and each minute."""

from __future__ import annotations

from typing import Any

from handlers.janitor.__main__ import build_erasing, build_purging, build_tidying
from infra.bootstrap import Application
from infra.logs import configure
from infra.settings import from_environment

_settings = from_environment()
_log = configure("janitor", _settings.log_level)
_application = Application(_settings, "janitor")
_erasing, _purging = build_erasing(_application, _log), build_purging(_application, _log)
_tidying = build_tidying(_application, _log)
# The night comes last: it may take all the time there is.
_ROUND = (_erasing.once, _tidying.once, _purging.once, _tidying.nightly)


def handler(event: dict[str, Any], _context: Any = None) -> dict[str, Any]:
    """A batch of messages, or one round; a part that fails keeps no other from its turn."""
    if "Records" in event:
        return _erasing(event)
    for part in _ROUND:
        try:
            part()
        except Exception:
            _log.exception("round failed", work=part.__qualname__)
    return {}
