"""Whether a source's tables beside the readings fit the contract's channels and fault axes."""

from collections.abc import Collection, Mapping

from foretwin.contract.source import TableSource
from foretwin.contract.source.side_tables import EndRule

ENDED = "ended"  # column of the canonical table: how the run ended


def check_side_tables(
    source: TableSource, channels: Collection[str], classes: Mapping[str, Collection[str]], allowed: Collection[str]
) -> None:
    """Raise ValueError where they do not: `classes` are those of each fault axis, `allowed` those of quality.allow."""
    _check_axis(source, classes)
    made = source.made_channels
    for name in made:
        field = "assets.columns" if source.assets and name in source.assets.columns else "events"
        if name not in channels:
            raise ValueError(f"source.{field}: {name} is not a channel")
        if made.count(name) > 1 or name in source.columns or name in source.rates:
            raise ValueError(f"source.{field}: channel {name} comes from two places; leave it out of one of them")
    if source.tells_ends and ENDED in channels:
        raise ValueError(f"channel name {ENDED} is reserved for how lives ended; rename it")
    rule = EndRule.of(source.reached) if source.reached else None
    if rule and rule.name in channels and rule.name not in allowed:
        fix = "leave the channel out, or write quality.allow"
        raise ValueError(f"source.reached: {rule.name} ends lives, so that a model would read its label; {fix}")
    if rule and rule.name in made:
        raise ValueError(f"source.reached: {rule.name} is made of another table; name a column of the readings")
    _check_times(source)


def _check_axis(source: TableSource, classes: Mapping[str, Collection[str]]) -> None:
    failures = source.failures
    if failures is None or failures.axis is None:
        return
    if failures.axis not in classes:
        raise ValueError(f"source.failures.axis: {failures.axis} is not a fault axis")
    if failures.axis in source.faults:
        raise ValueError(f"source.failures.axis: {failures.axis} has labels in source.faults too; keep one of both")
    modes = failures.values.values()
    unknown = [name for name in modes if name not in classes[failures.axis]]
    if unknown:
        raise ValueError(f"source.failures.values: {unknown[0]} is not a class of {failures.axis}")


def _check_times(source: TableSource) -> None:
    logs = {name: table for name, table in source.side_tables.items() if name != "assets"}
    for name, log in logs.items():
        if source.time_format == "row":
            raise ValueError(f"source.{name}: is of times, which rows that are counted have not; name source.time")
        nobody = log.asset_column is None and log.single_asset is None
        if nobody and name != "events" and source.single_asset is None:
            raise ValueError(f"source.{name}.asset: name the column of the machine")
        if source.parts and name != "events" and getattr(log, "part", None) is None:
            raise ValueError(f"source.{name}.part: name the column of the part, of which `parts` are chosen")
    assets = source.assets
    if assets is not None and assets.asset_column is None:
        raise ValueError("source.assets.asset: name the column of the machine")
