"""Names, meanings and labels of the metrics of live, watch, ingest and follow."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from foretwin.champion.loaded_figures import LOADED

STORE = ("live", "watch", "ingest")  # each tells of the store, so that the end of one of them hides nothing
FAMILIES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {  # name -> what it is, labels, processes
    "foretwin_process_info": ("1 for the process that answers", ("process", "version"), (*STORE, "follow")),
    "foretwin_ready": ("1 where /readyz of the process answers 200", (), (*STORE, "follow")),
    "foretwin_last_pass_timestamp_seconds": (
        "when the process last came through its work, s since 1970",
        (),
        (*STORE, "follow"),
    ),
    "foretwin_store_available": ("1 where the store takes writes", (), STORE),
    "foretwin_scoring_backlog_seconds": (
        "age of the oldest reading that no score has seen; 0 where there is none",
        ("twin",),
        STORE,
    ),
    "foretwin_scoring_backlog_assets": ("assets with readings that no score has seen", ("twin",), STORE),
    "foretwin_partition_backlog_seconds": (
        "the same age by partition of the fleet; absent where there is one alone",
        ("partition",),
        STORE,
    ),
    "foretwin_deliveries_waiting": ("events that wait for a target", ("target",), STORE),
    "foretwin_deliveries_dead": ("events that a target never took, or nobody knows whether it did", ("target",), STORE),
    "foretwin_delivery_oldest_seconds": ("age of the oldest event that waits for a target", ("target",), STORE),
    "foretwin_scores_total": ("scores that were stored", ("twin",), ("watch",)),
    "foretwin_unscored_total": ("assets that got no score, since their readings cannot be one", ("twin",), ("watch",)),
    "foretwin_partition_owned": (
        "1 for each partition that the process scores; absent where there is one alone",
        ("partition",),
        ("watch",),
    ),
    "foretwin_windows_held": ("windows that the memory holds", ("twin",), ("watch",)),
    "foretwin_windows_capacity": ("windows that fit into the memory", ("twin",), ("watch",)),
    "foretwin_windows_wanted": (
        "windows that it would have to hold for all assets",
        ("twin",),
        ("watch",),
    ),
    **{name: (about, (), ("watch",)) for name, (about, _) in LOADED.items()},
    "foretwin_broker_connected": ("1 while all connections stand", (), ("ingest",)),
    "foretwin_connection_up": ("1 while the connection stands", ("connection",), ("ingest",)),
    "foretwin_connection_since_timestamp_seconds": (
        "since when it stands, s since 1970; absent while it does not",
        ("connection",),
        ("ingest",),
    ),
    "foretwin_connection_last_value_timestamp_seconds": (
        "time of the newest value that was stored, its source's own where that tells one, s since 1970",
        ("connection",),
        ("ingest",),
    ),
    "foretwin_connection_lag_seconds": (
        "from the source's time of the last value to its commit",
        ("connection",),
        ("ingest",),
    ),
    "foretwin_connection_reconnects_total": ("times that it was made anew", ("connection",), ("ingest",)),
    "foretwin_connection_repeated_total": (
        "values that had come before, and were not stored again",
        ("connection",),
        ("ingest",),
    ),
    "foretwin_connection_bad_values_total": (
        "values that were not stored, since their source calls them bad or sends none",
        ("connection", "code"),
        ("ingest",),
    ),
    "foretwin_messages_waiting": ("messages that have come and are not stored yet", (), ("ingest",)),
    "foretwin_readings_total": ("readings that came, by what became of them", ("outcome",), ("ingest",)),
    "foretwin_champions_fetched_total": ("champions that were fetched from the registry", ("twin",), ("follow",)),
    "foretwin_champions_failing": ("1 where the champion of a twin cannot be kept", ("twin",), ("follow",)),
}
Values = Iterable[tuple[tuple[str, ...], float]]


def family(name: str, values: Values) -> Metric:
    """Return a family with a value for each set of labels."""
    about, labels, _ = FAMILIES[name]
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    made: CounterMetricFamily | GaugeMetricFamily = kind(name, about, labels=labels)
    for key, value in values:
        made.add_metric(key, value)
    return made
