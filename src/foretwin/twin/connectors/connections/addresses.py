"""Addresses of tags with words in braces: `factory/{site}/{asset}/{channel}`; and of the servers that have them."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

PLACE = re.compile(r"{(\w+)}")
ONE_LEVEL = r"[^/]+"  # what stands for a word in braces


class AddressTemplate:
    """A template and what it matches; a word that stands twice must be the same in both places."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = tuple(dict.fromkeys(PLACE.findall(text)))
        parts, seen, end = [], set[str](), 0
        for found in PLACE.finditer(text):
            word = found[1]
            parts += [
                re.escape(text[end : found.start()]),
                f"(?P={word})" if word in seen else f"(?P<{word}>{ONE_LEVEL})",
            ]
            seen.add(word)
            end = found.end()
        self._pattern = re.compile("".join([*parts, re.escape(text[end:])]))

    def match(self, address: str) -> Mapping[str, str] | None:
        """Return what each word stands for in an address; None where it does not match."""
        found = self._pattern.fullmatch(address)
        return found.groupdict() if found else None

    @property
    def topic(self) -> str:
        """Return the filter of MQTT topics that holds all matches; ValueError where a word is only part of a level."""
        levels = self.text.split("/")
        for level in levels:
            if PLACE.search(level) and not PLACE.fullmatch(level):
                raise ValueError(f"{level} is part of a level; a topic's level is one word in braces, or none")
        return "/".join("+" if PLACE.fullmatch(level) else level for level in levels)


def split_url(url: str) -> SplitResult:
    """Split a URL that may name several hosts, of which `urlsplit` refuses an IPv6 address after another one."""
    scheme, mark, rest = url.partition("://")
    end = next((place for place, sign in enumerate(rest) if sign in "/?#"), len(rest))
    parts = urlsplit(f"{scheme}{mark}{'_' if end else ''}{rest[end:]}")
    return parts._replace(netloc=rest[:end])
