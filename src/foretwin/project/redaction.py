"""Take secrets out of what is logged, whatever a library or an error puts into a line.

API keys, passwords in URLs, private keys, and the secrets among the settings.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

from foretwin.project.settings import SETTINGS

HIDDEN = "***"
SHORTEST = 4  # characters of a secret: a shorter one is part of too many words
SECRETS = re.compile(
    r"(?P<key>ftw_[0-9a-f]{6,12}_)[0-9A-Za-z]+"
    r"|(?P<user>[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)


def redact(text: str) -> str:
    """Return the text with stars in place of secrets; whose key it was, and whose password, stays.

    >>> redact("postgresql://foretwin:hunter2@db/foretwin")
    'postgresql://foretwin:***@db/foretwin'
    """
    return SECRETS.sub(lambda found: f"{found.group(found.lastgroup or 0)}{HIDDEN}", text)


class Redacted(logging.Formatter):
    """Formats as another formatter does, without the secrets of the settings and of API keys."""

    def __init__(self, formatter: logging.Formatter, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._formatter = formatter
        words = {form for secret in _secrets(environ) for form in (secret, quote(secret), json.dumps(secret)[1:-1])}
        longest_first = sorted((word for word in words if len(word) >= SHORTEST), key=len, reverse=True)
        self._words = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line = redact(self._formatter.format(record))
        return self._words.sub(HIDDEN, line) if self._words else line


def hide_secrets(environ: Mapping[str, str]) -> None:
    """Make every handler of the root logger keep secrets out."""
    for handler in logging.getLogger().handlers:
        if handler.formatter and not isinstance(handler.formatter, Redacted):
            handler.setFormatter(Redacted(handler.formatter, environ))


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets: whole settings, passwords in URLs, and what follows a `?` in them."""
    for name, setting in SETTINGS.items():
        text = environ.get(name, "")
        if setting.kind == "secret":
            yield text
        elif setting.kind in ("url", "urls"):
            for url in text.split(","):
                yield from _in_url(url.strip())


def _in_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return
    if password:
        yield from (password, unquote(password))
    if parts.scheme in ("http", "https") and parts.query:
        yield parts.query
