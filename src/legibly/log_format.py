"""Log lines as JSON objects, for programs that collect them."""

import json
import logging
from datetime import UTC, datetime

from legibly.records import stamp

_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """One line per record: `at`, `level`, `logger`, `message`, extra fields, and `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": stamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps({**extra, **line}, default=str, ensure_ascii=True)


def use_json() -> None:
    """Let every logger of this process, the web server's included, write JSON to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger().handlers = [handler]
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
