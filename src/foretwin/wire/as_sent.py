"""Contracts of readings as machines send them."""

from foretwin.contract.source import TableSource
from foretwin.contract.source.side_tables import EventLog
from foretwin.contract.twin import Twin


def event_log(contract: Twin) -> EventLog | None:
    """Return which channels are made of events, and of which codes; None where none is."""
    return contract.source.events if isinstance(contract.source, TableSource) else None


def as_sent(contract: Twin) -> Twin:
    """Return the contract with channels that are made of events as such that may be missing: ingestion fills them."""
    log = event_log(contract)
    if log is None:
        return contract
    made = {*log.counts, *log.since}
    channels = {
        name: channel.model_copy(update={"may_be_missing": True}) if name in made else channel
        for name, channel in contract.channels.items()
    }
    return contract.model_copy(update={"channels": channels})
