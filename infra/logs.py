"""Structured logs: one JSON line per event on stderr. Never tokens, bodies or signed URLs.

Nobody logs those on purpose; tracebacks and the words of libraries may hold some. So what looks
like a secret is struck out of every line, whoever wrote it, libraries included.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from infra import tracing

if TYPE_CHECKING:
    from structlog.typing import EventDict


class _AtFirstUse(ModuleType):
    """Stands for a module until somebody asks it for something."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@contextmanager
def _instead(**modules: ModuleType | None) -> Iterator[None]:
    """Those, unless they are loaded already; None as if it were not installed."""
    ours = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(ours)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in ours:
            del sys.modules[name]


# It would draw tracebacks with rich, which takes longer to load than all of ours; lines are JSON.
# It has loggers to await, and we none; nor is anything of ours a greenlet.
with _instead(rich=None, better_exceptions=None, greenlet=None, asyncio=_AtFirstUse("asyncio")):
    import structlog

_STRUCK = "[struck out]"
_SECRETS = re.compile(
    r"(?P<kept>X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"'\\<>]+"
    r"|(?P<word>\b(?:Bearer|Basic|DPoP)\s+)[\w.~+/=-]{8,}"
    r"|(?P<name>\b(?:authorization|cookie|set-cookie|stripe-signature|webhook-signature)"
    r"\\?[\"']?\s*[:=,]\s*\\?[\"']?)[^\"'\\\n]+"
    r"|\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"
    r"|\b(?:sk|rk|pk)_(?:live|test)_\w+|\bwhsec_[\w+/=]+|\bssk_\w{16,}|\br8_\w{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    re.IGNORECASE,
)
_TELLING = (
    "@", "x-amz-", "bearer", "basic", "dpop", "authorization", "cookie", "-signature", "eyj",
    "k_live_", "k_test_", "whsec_", "ssk_", "r8_", "akia", "asia",
)  # fmt: skip
"""Each secret has one of these in it, in small letters. To look for them is quick; the expression
is slow, and nearly no line has any.
"""


def configure(component: str, level: str = "info") -> structlog.stdlib.BoundLogger:
    """Set the process's logging up once; a logger that names the component."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
            _without_secrets,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(component=component)
    _adopt_libraries(logger)
    return logger


def logger(component: str) -> Any:
    """A logger that names the component, for who was not given one."""
    return structlog.get_logger(component=component)


class _Adopted(logging.Handler):
    """What libraries have to say, in lines like ours."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Raises nothing: a line that cannot be written costs nobody anything."""
        try:
            tell = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
            tell("library", logger=record.name, said=record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


def _adopt_libraries(logger: Any) -> None:
    root = logging.getLogger()
    root.handlers[:] = [h for h in root.handlers if not isinstance(h, _Adopted)]
    root.addHandler(_Adopted(logger))


def _with_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if trace_id := tracing.trace_id():
        event.setdefault("trace_id", trace_id)
    return event


def _without_secrets(_logger: Any, _method: str, line: Any) -> str:
    return struck(line)


def struck(text: str) -> str:
    """The text without what looks like a token, a key, a signature, a cookie or an address."""
    # Not ASCII: some letters are small ones of others to the expression, and not to ``lower``.
    if text.isascii():
        small = text.lower()
        if not any(mark in small for mark in _TELLING):
            return text
    return _SECRETS.sub(_replaced, text)


def _replaced(found: re.Match[str]) -> str:
    return (found["kept"] or found["word"] or found["name"] or "") + _STRUCK
