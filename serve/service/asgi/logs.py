"""The log of a service on stderr: a line of JSON or of text for each event."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

import typer

from depth.console import printable

logger = logging.getLogger(__name__)

FORMS = ("text", "json")


def log_to_stderr(form: str) -> None:
    """Log requests and events to stderr as one of FORMS; replaces what was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serve.service").setLevel(logging.INFO)
    # What uvicorn says of each broken request is in the log of requests, or the caller's fault.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def say_ready(url: str, form: str) -> None:
    """A line on stderr once the service is ready: `ready: URL`, or JSON."""
    if form == "json":
        logger.info("ready", extra={"event": {"url": url}})
    else:
        typer.echo(f"ready: {url}", err=True)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", {})
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **event,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", {})
        words = " ".join(f"{key}={value}" for key, value in event.items())
        text = f"{_time(record)} {record.levelname.lower()} {record.getMessage()} {words}".rstrip()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return printable(text)


def _time(record: logging.LogRecord) -> str:
    made = datetime.fromtimestamp(record.created, timezone.utc)
    return made.isoformat(timespec="milliseconds")
