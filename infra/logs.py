"""Structured logs: one JSON line per event on stderr. Never tokens, bodies or signed URLs."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(component: str, level: str = "info") -> structlog.stdlib.BoundLogger:
    """Set the process's logging up once; a logger that names the component."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(component=component)
    return logger
