"""What is drafted of the tables beside the readings: fields of the contract, channels, a fault axis, sentences."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foretwin.validation.scaffold.label_columns import LabelAxis


@dataclass(frozen=True)
class MadeChannel:
    """A channel that is made of such a table; without limits it takes those of its values."""

    unit: str
    role: str
    why: str
    longest: float | None = None


@dataclass(frozen=True)
class SideDraft:
    """Fields of each table (field of the contract -> fields of it), remarks on them, and what follows."""

    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remarks: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (table, field) -> why it is guessed
    channels: Mapping[str, MadeChannel] = field(default_factory=dict)
    axis: LabelAxis | None = None
    told: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)  # column -> reason
    likely: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # table -> fields where the user is asked

    @property
    def tells_ends(self) -> bool:
        """Return whether one of the tables says how lives ended."""
        return "failures" in self.tables or "maintenance" in self.tables

    def questions(self) -> list[str]:
        """Return what the user has to answer before the tables can be read."""
        return [
            f"{table}.{name}: {self.remarks.get((table, name), 'write it')}."
            for table, fields in self.tables.items()
            for name, value in fields.items()
            if value == "ask"
        ]

    def lines(self) -> list[str]:
        """Return the tables as lines of twin.yaml, each guess with its reason."""
        found = []
        for table, fields in self.tables.items():
            found.append(f"  {table}:")
            for name, value in fields.items():
                remark = self.remarks.get((table, name))
                guessed = "asked" if value == "ask" else "guessed"
                shown = json.dumps(value, ensure_ascii=False)
                found.append(f"    {name}: {shown}" + (f"  # {guessed}: {remark}" if remark else ""))
        return found


NO_SIDES = SideDraft()
