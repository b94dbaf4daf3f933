"""Escape what people and machines wrote, for documents in Markdown."""

import re

# An underscore within a word, as in P_017, means nothing in Markdown; a link is made of :// too.
SPECIAL = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])|:(?=//)")


def escape_markdown(text: str) -> str:
    """Return a text as one line that Markdown shows as it is; what cannot be seen becomes a space."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return SPECIAL.sub(r"\\\g<0>", " ".join(line.split()))
