"""How log lines look: one JSON object each, or one readable line each with LOG_FORMAT=console."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from apps.common.redaction import redacted

FIELD_LIMIT = 8 * 1024


def bounded(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Cut what one field may add to the log, so that a hostile value cannot flood it."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > FIELD_LIMIT:
            event[name] = f"{value[:FIELD_LIMIT]}… ({len(value)} characters)"
    return event


def sober(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Drop what uvicorn and Django add for their own formatters."""
    for name in ("color_message", "request"):
        event.pop(name, None)
    return event


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """Send structlog and standard logging through one handler on stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        sober,
        bounded,
        redacted,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level, "handlers": [], "propagate": True},
            "django.server": {"level": level, "handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},  # a 404 is the client's affair
            "uvicorn": {"level": "WARNING", "handlers": [], "propagate": True},
            "uvicorn.access": {"handlers": [], "propagate": False},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "mcp": {"level": "WARNING"},
            "a2a": {"level": "WARNING"},
            "celery": {"level": "WARNING"},  # two lines for every hint
            "kombu": {"level": "WARNING"},
            # On a terminal a line for every request hides what matters.
            "orchestra.requests": {"level": "WARNING" if form == "console" else level},
            "psycopg.pool": {"level": "ERROR"},  # one line for every try while the database is away
        },
    }
