"""IDTA 02008-1-1-1, time series data: the present run as a link to the readings, its newest window within the file."""

from datetime import UTC
from typing import Any

import numpy as np

from foretwin.twin.asset_shell.content import Called, Content, id_shorts
from foretwin.twin.asset_shell.machine_facts import MachineFacts

MEANING = "urn:foretwin:{twin}:channel:{channel}"  # of a channel: no dictionary is named in a contract
DOUBLE, TEXT = "xs:double", "xs:string"
EXAMPLE = "sampleAccelerationX"  # what the template has where a channel is to stand


def ticks(facts: MachineFacts, time: float) -> int:
    """Return a time of the run as the template has it, a whole number: ms, or units of a clock that is none of time."""
    seconds = facts.contract.clock.seconds
    return round(time if seconds is None else time * seconds * 1000)


def time_series(facts: MachineFacts) -> Content:
    """Return metadata and segments."""
    asset, contract = facts.asset, facts.contract
    scale = "ms" if contract.clock.seconds is not None else contract.clock.unit
    said = f"Readings of {asset.name}. Time is the age of the run in {scale}."
    run = next((one for one in facts.runs if one.run == asset.run), None)
    segments: dict[str, Any] = {}
    if run is not None:
        segments["LinkedSegment01"] = {
            "Name": f"Run {asset.run}",
            "Description": f"All readings of the present run, as JSON. {said}",
            "StartTime": str(ticks(facts, run.first_time)),
            "EndTime": str(ticks(facts, run.last_time)),
            "State": "in progress",
            "LastUpdate": run.last_at.astimezone(UTC).isoformat(),
            "Endpoint": f"{facts.place}/readings",
            "Query": f"run={asset.run}",
        }
    if len(facts.newest):
        segments["InternalSegment01"] = _window(facts, said)
    units = ", ".join(f"{name} in {one.unit}" for name, one in contract.channels.items())
    record: dict[str, Any] = {"Time": None, **_channels(facts, None)}
    metadata = {"Name": contract.title, "Description": f"{said} {units}.", "Record": record}
    return {"Metadata": metadata, "Segments": segments}


def _window(facts: MachineFacts, said: str) -> Content:
    rows = facts.newest
    records = {
        f"Record{i + 1:03d}": Called("Record", {"Time": ticks(facts, float(time)), **_channels(facts, values)})
        for i, (time, values) in enumerate(zip(rows.time, rows.values, strict=True))
    }
    return {
        "Name": "Newest readings",
        "Description": f"As many as a score sees at most. {said}",
        "RecordCount": len(rows),
        "StartTime": str(ticks(facts, float(rows.time[0]))),
        "EndTime": str(ticks(facts, float(rows.time[-1]))),
        "Records": records,
    }


def _channels(facts: MachineFacts, values: Any) -> dict[str, Called]:
    """Return a property for each channel, with its value where (C,) `values` are given and it has one."""
    names = id_shorts(facts.contract.channel_names)
    found = {}
    for i, (name, channel) in enumerate(zip(names, facts.contract.channel_names, strict=True)):
        kind = facts.contract.channels[channel]
        value = None if values is None or not np.isfinite(values[i]) else kind.cell(float(values[i]))
        meaning = MEANING.format(twin=facts.asset.twin, channel=channel)
        found[name] = Called(EXAMPLE, value, DOUBLE if kind.categories is None else TEXT, meaning)
    return found
