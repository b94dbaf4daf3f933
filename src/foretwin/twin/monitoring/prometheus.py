"""Format the last reports for Prometheus: `GET /metrics`, and node_exporter's textfile collector."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE_LATEST", "FAMILIES", "exposition"]

PREFIX = "foretwin_monitor_"
FAMILIES = {  # name -> what it is, and its labels beside `twin`
    "looked_at_seconds": ("when the monitor last looked, s since 1970", ()),
    "readings": ("readings of healthy life that were compared", ()),
    "assets": ("assets that these are of", ()),
    "enough": ("1 where these are enough to say whether there is drift", ()),
    "drifted": ("1 where readings left what the champion was trained on", ()),
    "limits_broken": ("limits of drift and of realised error that are broken", ()),
    "signals_broken": ("signals of failing data sources that are broken", ()),
    "retrain": ("1 where a limit is broken and there is something new to learn from", ()),
    "channel_psi": ("population stability index of a channel", ("channel",)),
    "channel_psi_limit": ("what that of a clean fleet of this size does not exceed", ("channel",)),
    "channel_shift": ("by how many standard deviations the channel's mean has moved", ("channel",)),
    "score_psi": ("population stability index of what the champion says", ("column",)),
    "score_psi_limit": ("what that of a clean fleet of this size does not exceed", ("column",)),
    "signal": ("share that a signal of a failing data source has reached", ("signal", "of")),
    "signal_limit": ("the share above which it is broken", ("signal", "of")),
    "failures": ("scored runs that ended in a failure", ()),
    "missed_failures": ("those of them without a case before", ()),
    "lead_time_median": ("from the first case to the failure, in the contract's time unit", ()),
    "false_alarms": ("closed cases behind which nothing was, by how that became known", ("because",)),
    "realised_rmse": ("of the scores of runs that failed, in the contract's time unit", ("version",)),
    "realised_coverage": ("share of the truths that lay in their interval", ("version",)),
    "realised_late_share": ("share of the scores that promised more life than there was", ("version",)),
    "realised_runs": ("runs behind these", ("version",)),
    "held_out_rmse": ("that of the champion on its held-out assets", ("version",)),
}

Row = tuple[str, tuple[str, ...], float | None]  # family, labels beside the twin, value


class _Reports(Collector):
    def __init__(self, reports: Sequence[Mapping[str, Any]]) -> None:
        self.reports = reports

    def collect(self) -> Iterable[Metric]:
        families = {
            name: GaugeMetricFamily(PREFIX + name, about, labels=("twin", *labels))
            for name, (about, labels) in FAMILIES.items()
        }
        for report in self.reports:
            for name, labels, value in _rows(report):
                if value is not None:
                    families[name].add_metric((report["twin"], *labels), float(value))
        return [family for family in families.values() if family.samples]


def exposition(reports: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the metrics of several twins' reports; an unknown figure has no series."""
    registry = CollectorRegistry()
    registry.register(_Reports(reports))
    return generate_latest(registry)


def _rows(report: Mapping[str, Any]) -> Iterator[Row]:
    drift, verdict, version = report["drift"], report["verdict"], report["champion"]["version"]
    yield "looked_at_seconds", (), datetime.fromisoformat(report["looked_at"]).timestamp()
    for name in ("readings", "assets", "enough"):
        yield name, (), drift[name]
    yield "drifted", (), verdict["drifted"]
    yield "limits_broken", (), len(verdict["limits_broken"])
    yield "signals_broken", (), len(verdict["signals_broken"])
    yield "retrain", (), verdict["retrain"]
    for channel in drift["channels"]:
        yield "channel_psi", (channel["name"],), channel["psi"]
        yield "channel_psi_limit", (channel["name"],), channel["limit"]
        yield "channel_shift", (channel["name"],), channel["shift"]
    for score in drift["scores"]:
        yield "score_psi", (score["name"],), score["psi"]
        yield "score_psi_limit", (score["name"],), score["limit"]
    for signal in report["signals"]:
        yield "signal", (signal["name"], signal["of"]), signal["value"]
        yield "signal_limit", (signal["name"], signal["of"]), signal["limit"]
    yield from _of_truth(report["truth"])
    yield "held_out_rmse", (version,), report["champion"]["held_out_rmse"]


def _of_truth(truth: Mapping[str, Any]) -> Iterator[Row]:
    yield "failures", (), truth["failures"]
    yield "missed_failures", (), truth["missed_failures"]
    yield "lead_time_median", (), truth["lead_time"]["median"]
    for because, count in truth["false_alarms"].items():
        yield "false_alarms", (because,), count
    for model in truth["models"]:
        for name in ("rmse", "coverage", "late_share", "runs"):
            yield f"realised_{name}", (model["version"],), model[name]
