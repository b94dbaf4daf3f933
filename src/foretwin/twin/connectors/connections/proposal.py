"""A first contract and connection for machines whose tags a source lists: names, units, ranges. Pure."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foretwin.errors import SourceError
from foretwin.twin.connectors.connections.unit_lines import is_unit

UNITS = {"°C": "degC", "°F": "degF", "°": "deg", "K": "kelvin", "m³/h": "m3/h", "U/min": "rpm"}
WIDE = (-1e9, 1e9)  # limits of a channel whose range nobody tells
COMMANDED = re.compile(r"(^|_)(set|setpoint|sp|cmd|command|commanded|target)(_|$)")
MOST_CHANNELS = 200


@dataclass(frozen=True)
class ListedTag:
    """A tag as its source lists it: `path` of names, `unit` and range where it tells them, `numeric` or of truth."""

    path: str
    numeric: bool
    unit: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Proposal:
    """The texts of data/<twin>/twin.yaml and of an entry in connections.yaml, and what was assumed and left out."""

    contract: str
    connection: str
    told: tuple[str, ...]


def propose(twin: str, url: str, tags: Sequence[ListedTag], more: str = "") -> Proposal:
    """Propose what the largest group of like machines is; `more` are further lines of the connection.

    SourceError where no tag is a number.
    """
    numeric = [tag for tag in tags if tag.numeric]
    if not numeric:
        raise SourceError(f"{url}: none of {len(tags)} tags is a number; let the source list its measurements")
    groups = _machines(numeric)
    names = _channel_names(list(groups))[:MOST_CHANNELS]
    channels = list(zip(names, groups.items(), strict=False))
    assets = sorted({asset for group in groups.values() for asset in group})
    told = [f"{len(assets)} machines: {', '.join(assets[:5])}{', ...' if len(assets) > 5 else ''}"]
    left = len(tags) - sum(len(group) for _, (_, group) in channels)
    told += [f"{left} of {len(tags)} tags are left out: no numbers, or not of these machines"] if left else []
    lines, entries = [], []
    for name, (pattern, group) in channels:
        first = next(iter(group.values()))
        unit = _unit(first.unit)
        low, high = (first.low, first.high) if _is_range(first) else WIDE
        assumed = "" if _is_range(first) else "  # the source tells no range: correct min and max"
        role = "setting" if COMMANDED.search(name) else "sensor"
        words = f"unit: {json.dumps(unit or '1', ensure_ascii=False)}, role: {role}, min: {low:g}, max: {high:g}"
        lines.append(f"  {name}: {{{words}, may_be_missing: true, grid: {{take: last}}}}{assumed}")
        asset = "" if "{asset}" in pattern else f", asset: {json.dumps(next(iter(group)), ensure_ascii=False)}"
        entries.append(f"    - {{at: {json.dumps(pattern, ensure_ascii=False)}{asset}, channel: {name}}}")
        told += [] if unit or not first.unit else [f"{name}: the unit {first.unit} is none that is known; correct it"]
        told += [] if _is_range(first) else [f"{name}: no range is told; min and max are wide, correct them"]
    connection = f"{twin}:\n  url: {json.dumps(url)}\n  twin: {twin}\n{more}  tags:\n" + "\n".join(entries) + "\n"
    return Proposal(CONTRACT.format(name=twin, channels="\n".join(lines)), connection, tuple(told))


def _machines(tags: Sequence[ListedTag]) -> Mapping[str, Mapping[str, ListedTag]]:
    """Return pattern with {asset} -> asset -> tag, of the level of names that tells most machines of one kind apart."""
    best: tuple[int, dict[str, dict[str, ListedTag]]] = (0, {})
    for level in range(max(tag.path.count("/") for tag in tags)):
        found: defaultdict[str, dict[str, ListedTag]] = defaultdict(dict)
        for tag in tags:
            names = tag.path.split("/")
            if level < len(names) - 1:
                pattern = "/".join([*names[:level], "{asset}", *names[level + 1 :]])
                found[pattern][names[level]] = tag
        alike = {pattern: group for pattern, group in found.items() if len(group) > 1}
        # machines of one kind have the same tags: the patterns of the most frequent set of machines
        sets = Counter(frozenset(group) for group in alike.values())
        if sets:
            chosen = max(sets, key=lambda assets: (sets[assets] * len(assets), sorted(assets)))
            alike = {pattern: group for pattern, group in alike.items() if set(group) <= chosen}
            size = sum(map(len, alike.values()))
            best = max(best, (size, alike), key=lambda one: one[0])
    if best[0] >= len(tags) / 2:
        return best[1]
    owner = tags[0].path.split("/")[-2] if "/" in tags[0].path else "machine-1"
    return {tag.path: {owner: tag} for tag in tags}


def _channel_names(patterns: Sequence[str]) -> list[str]:
    """Return a name for each pattern: its last name, with those before where that is not enough to tell it apart."""
    parts = [[one for one in pattern.split("/") if one != "{asset}"] for pattern in patterns]
    names = [_word(one[-1]) for one in parts]
    counted = Counter(names)
    longer = [_word("_".join(p[-2:])) if counted[n] > 1 else n for n, p in zip(names, parts, strict=True)]
    seen: Counter[str] = Counter()
    unique = []
    for name in longer:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return unique


def _word(text: str) -> str:
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    word = re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")[:50] or "tag"
    return word if word[0].isalpha() else f"c_{word}"


def _unit(told: str | None) -> str | None:
    """Return a unit that can be converted; None where the source tells none, or one that nobody knows."""
    unit = UNITS.get((told or "").strip(), (told or "").strip())
    return unit if unit and is_unit(unit) else None


def _is_range(tag: ListedTag) -> bool:
    return tag.low is not None and tag.high is not None and tag.low < tag.high


CONTRACT = """\
# Proposed from the tags that the source lists. Correct it: what is wrong here is wrong in everything that follows.
name: {name}
title: {name}
source: {{kind: store}}  # what the connection brings is the history that is trained on

clock:
  unit: min  # a reading each minute, of the last value of each tag; correct both
  step: 1
  counts_from_start: false  # nobody knows how old the machines were when the first value came

channels:
{channels}

# Without labels a departure from what is normal is told. With failures and repairs on record write `rul` and `faults`.
health:
  remedy: {{part: unknown, instruction: Inspect the machine, lead_time: 10080}}  # a week, in the clock's unit

window: {{length: 60, shortest: 30}}
"""
