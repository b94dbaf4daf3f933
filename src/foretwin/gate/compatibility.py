"""Compatibility of two contracts: for callers of the champion, and for a comparison on the same rows."""

from foretwin.contract.twin import Twin


def breaks(champion: Twin, candidate: Twin) -> tuple[str, ...]:
    """List the changes that break callers of the champion, in what they send or receive; empty without any.

    An additional output of the candidate breaks nothing.
    """
    before, now = ({name: c.unit for name, c in twin.channels.items()} for twin in (champion, candidate))
    found = [
        f"channel {name} is {_unit(before.get(name))} for it and {_unit(now.get(name))} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if champion.clock.unit != candidate.clock.unit:
        found.append(f"its time unit is {champion.clock.unit} and now {candidate.clock.unit}")
    if champion.rul and not candidate.rul:
        found.append("it answers with an RUL, and now there is none")
    return (
        *found,
        *(_classes(axis, champion, candidate) for axis in champion.axes if _differ(axis, champion, candidate)),
    )


def obstacles(champion: Twin, candidate: Twin) -> tuple[str, ...]:
    """List why the champion cannot be compared on rows made for the candidate's contract; empty where it can.

    What the candidate answers beside is none of it: they are compared in what both answer.
    """
    found = list(breaks(champion, candidate))
    if champion.rul and candidate.rul and champion.rul.cap != candidate.rul.cap:
        found.append(f"its rul.cap is {champion.rul.cap:g} and now {candidate.rul.cap:g}")
    named = candidate.channels.items()
    gaps = [name for name, channel in named if channel.may_be_missing]
    found += [f"its {name} may not be missing" for name in gaps if not _may_be_missing(champion, name)]
    if champion.window.length > candidate.window.length or champion.window.shortest > candidate.window.shortest:
        found.append("its window is longer than what these rows keep")
    return tuple(found)


def _may_be_missing(twin: Twin, name: str) -> bool:
    """Return whether a twin is answered without this channel: it may be missing, or is none of its channels."""
    return name not in twin.channels or twin.channels[name].may_be_missing


def _differ(axis: str, champion: Twin, candidate: Twin) -> bool:
    return axis not in candidate.faults or champion.classes(axis) != candidate.classes(axis)


def _classes(axis: str, champion: Twin, candidate: Twin) -> str:
    before, now = (", ".join(twin.classes(axis)) if axis in twin.faults else "" for twin in (champion, candidate))
    return f"its classes of {axis} are ({before}) and now ({now})"


def _unit(unit: str | None) -> str:
    return "absent" if unit is None else f"in {unit}"
