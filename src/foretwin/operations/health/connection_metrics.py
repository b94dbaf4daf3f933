"""Metrics of the connections of `foretwin ingest`: each by its name, `mqtt` for that of `--mqtt`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import Metric

from foretwin.operations.health.families import family

if TYPE_CHECKING:
    from foretwin.twin.connectors.connection_state import ConnectionState


def connection_families(states: Mapping[str, "ConnectionState"]) -> Iterator[Metric]:
    """Yield what is known of each connection; what is not known yet has no sample."""
    up = [((name,), float(state.connected_since is not None)) for name, state in states.items()]
    yield family("foretwin_connection_up", up)
    for metric, field in (
        ("foretwin_connection_since_timestamp_seconds", "connected_since"),
        ("foretwin_connection_last_value_timestamp_seconds", "last_value"),
        ("foretwin_connection_lag_seconds", "lag"),
        ("foretwin_connection_reconnects_total", "reconnects"),
        ("foretwin_connection_repeated_total", "repeated"),
    ):
        told = [(name, getattr(state, field)) for name, state in states.items()]
        yield family(metric, [((name,), float(value)) for name, value in told if value is not None])
    bad = [((name, code), float(count)) for name, state in states.items() for code, count in dict(state.bad).items()]
    yield family("foretwin_connection_bad_values_total", bad)
