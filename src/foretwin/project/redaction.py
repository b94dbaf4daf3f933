"""Take secrets out of what is logged: API keys, passwords in URLs, private keys."""

import re

HIDDEN = "***"
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
