"""Bounds of a key: the twins, assets and owners that it may see and speak for.

A pattern is matched as a whole, with regard to case: `*` stands for any characters, `?` for one, all others for
themselves.
"""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

OWNER = "owner"  # the tag that is meant where none is named

Pattern = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f/]+$", max_length=200)]
OwnerPattern = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f=\"\\]+=[^\x00-\x1f\x7f]+$", max_length=400)]


def _is_empty(patterns: tuple[str, ...]) -> bool:
    return not patterns


class Bounds(BaseModel):
    """What a key is bound to; of each kind one pattern must match, and without patterns of a kind anything does.

    `owners` are `TAG=PATTERN`, which match an asset with such a tag.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Left out of the file where there are none, so that older versions read it.
    twins: tuple[Pattern, ...] = Field(default=(), exclude_if=_is_empty)
    assets: tuple[Pattern, ...] = Field(default=(), exclude_if=_is_empty)
    owners: tuple[OwnerPattern, ...] = Field(default=(), exclude_if=_is_empty)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.twins or self.assets or self.owners)

    def __str__(self) -> str:
        kinds = [*(f"twin {one}" for one in self.twins), *(f"asset {one}" for one in self.assets), *self.owners]
        return ", ".join(kinds)

    @property
    def are_of_twins(self) -> bool:
        """Whether they admit whole twins, so that figures of a twin's fleet are within them."""
        return not (self.assets or self.owners)

    def admit_twin(self, twin: str) -> bool:
        """Whether this twin is within them."""
        return _any_matches(self.twins, twin)

    def admit_name(self, asset: str) -> bool:
        """Whether an asset of this name may be within them: its twin and its tags may still not be."""
        return _any_matches(self.assets, asset)

    def tags(self) -> list[tuple[str, str]]:
        """Return tag and pattern of each owner."""
        return [(tag, value) for tag, _, value in (owner.partition("=") for owner in self.owners)]


UNBOUND = Bounds()


def owner_pattern(text: str) -> str:
    """Return `TAG=PATTERN` of a text that may leave out the tag `owner`."""
    return text if "=" in text else f"{OWNER}={text}"


def _any_matches(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(_expression(pattern).fullmatch(text) for pattern in patterns)


def _expression(pattern: str) -> re.Pattern[str]:
    signs = ({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.compile("".join(signs), re.DOTALL)
