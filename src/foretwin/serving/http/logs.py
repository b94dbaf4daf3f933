"""JSON logs: one object a line on standard error."""

import json
import logging
import math
import os
import sys
from datetime import UTC, datetime

from foretwin.project.redaction import hide_secrets
from foretwin.serving.http.requests import REQUEST_ID

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line: time (UTC), level, logger, message, request_id, trace_id, extra fields, exception.

    The two ids stand there where the record was made during a call, and during a traced one. An extra field cannot take
    the place of one of these.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line |= _ids()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        extra = {name: _plain(value) for name, value in vars(record).items() if name not in STANDARD}
        return json.dumps(line | {name: value for name, value in extra.items() if name not in line})


def log_json(level: int = logging.INFO) -> None:
    """Send all logs from that level on, and Python's warnings, to standard error as JSON, without secrets.

    uvicorn's lines too, where it was given no logging configuration of its own.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    hide_secrets(os.environ)
    logging.captureWarnings(capture=True)


def _ids() -> dict[str, str]:
    found = {"request_id": REQUEST_ID.get(), "trace_id": _trace_id()}
    return {name: value for name, value in found.items() if value is not None}


def _trace_id() -> str | None:
    trace = sys.modules.get("opentelemetry.trace")  # there only where something traces
    number = trace.get_current_span().get_span_context().trace_id if trace else 0
    return f"{number:032x}" if number else None


def _plain(value: object) -> object:
    """Return the value as JSON can hold it: non-finite numbers and other objects as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, int | str) else str(value)
