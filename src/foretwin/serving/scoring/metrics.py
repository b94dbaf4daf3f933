"""Metrics of the scoring service in Prometheus' text format.

Counts are plain numbers under one lock, and become metric families when somebody asks: a call pays some microseconds.
Every label's values come from routes, contracts and champions; nothing that a caller sends can make a new series.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from threading import Lock

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from foretwin.champion.champion import Champion
from foretwin.champion.loaded import LoadedChampions
from foretwin.champion.loaded_figures import LOADED
from foretwin.contract.twin import UNKNOWN, Twin
from foretwin.predictor.bundle import Answers
from foretwin.predictor.health.warning_kinds import OUTSIDE, SHORT_HISTORY

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WINDOWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.999, 1.0)  # the last one holds the RULs at the cap

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEADERS = {"Accept", "Authorization", "Content-Encoding", "Content-Type", "Host", "Origin"}
CALL = {"body", "method", "model", "path", "request", "service", "store", "timeout", "twin", "units"}
COLUMNS = {"asset", "channels", "observed_at", "rows", "run", "time"}
ASSETS = {"assets", "assets.asset", "assets.channels", "assets.observed_at", "assets.run", "assets.time"}
FIELDS = HEADERS | CALL | COLUMNS | ASSETS
OTHER = "other"
INDEX = re.compile(r"\[[^\]]*\]?")

SWAPS = ("swapped", "refused", "failed")
WARNINGS = (
    OUTSIDE,
    SHORT_HISTORY,
    "cadence",
    "standstill",
    "window_coverage",
    "channel_missing",
    "unknown_category",
    "rul_at_cap",
    "stale",
    "off",
    "unknown_regime",
    "check_function",
)

FAMILIES = {  # name -> what it is, and its labels
    "foretwin_requests_in_flight": ("calls that have arrived and are not answered yet", ()),
    "foretwin_requests_total": ("calls that were answered", ("route", "method", "status")),
    "foretwin_request_seconds": ("how long a call took", ("route",)),
    "foretwin_refusals_total": ("calls that were refused, by what was wrong in them", ("route", "status", "field")),
    "foretwin_windows_total": ("windows that were scored", ("twin",)),
    "foretwin_batch_windows": ("windows in one call", ("twin",)),
    "foretwin_rul_share": ("remaining useful life that was answered, as a share of the contract's cap", ("twin",)),
    "foretwin_diagnoses_total": ("answers on a fault axis", ("twin", "axis", "answer")),
    "foretwin_warnings_total": ("warnings that answers carried, by their kind", ("twin", "kind")),
    "foretwin_out_of_training_range_total": (
        "windows in which a channel showed what no machine in training did",
        ("twin", "channel"),
    ),
    "foretwin_model_info": ("1 for the model that answers", ("twin", "name", "version", "run", "digest")),
    "foretwin_model_age_seconds": ("time since the model that answers was promoted", ("twin",)),
    **{name: (about, ()) for name, (about, _) in LOADED.items()},
    "foretwin_swaps_total": ("champions that were promoted meanwhile, by what became of them", ("twin", "result")),
}


class Histogram:
    """Counts of values at or below each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last one is of the values above every bound
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Add one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add_all(self, values: list[float]) -> None:
        """Add several values."""
        bounds, counts = self.bounds, self.counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self.sum += sum(values)

    def buckets(self) -> list[tuple[str, float]]:
        """Return bound and number of values up to it, as Prometheus expects them."""
        names = [*map(repr, self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


@dataclass
class ScoreCounters:
    """Counts of one twin's scores since the process began."""

    has_rul: bool = False
    windows: int = 0
    per_call: Histogram = field(default_factory=lambda: Histogram(WINDOWS))
    rul: Histogram = field(default_factory=lambda: Histogram(SHARES))
    diagnoses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by axis and answer
    outside: Counter[str] = field(default_factory=Counter)  # by channel
    warnings: Counter[str] = field(default_factory=Counter)  # by kind

    def start(self, contract: Twin) -> None:
        """Create the series that must exist at once: from an absent one Prometheus sees no first increase."""
        self.has_rul = contract.rul is not None
        for axis in contract.axes:
            for name in (*contract.classes(axis), UNKNOWN):
                self.diagnoses[axis][name] += 0
        for channel in contract.channel_names:
            self.outside[channel] += 0
        for kind in WARNINGS:
            self.warnings[kind] += 0


class Metrics(Collector):
    """The metrics of one process; any thread may add to them."""

    def __init__(self, loaded: LoadedChampions | None = None) -> None:
        """`loaded` are the champions of the process whose networks are in memory."""
        self._lock = Lock()
        self._loaded = LoadedChampions() if loaded is None else loaded
        self._in_flight = 0
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self._refusals: Counter[tuple[str, int, str]] = Counter()
        self._scored: dict[str, ScoreCounters] = {}
        self._swaps: Counter[tuple[str, str]] = Counter()
        self._champions: dict[str, Champion] = {}
        self._channels: frozenset[str] = frozenset()  # of every twin that is served
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def begun(self) -> None:
        """Count an arrived call; `request` ends it."""
        with self._lock:
            self._in_flight += 1

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered call; `route` is a path template of the service."""
        with self._lock:
            self._in_flight -= 1
            self._requests[route, method if method in METHODS else OTHER, status] += 1
            histogram = self._seconds.get(route)
            if histogram is None:
                histogram = self._seconds[route] = Histogram(SECONDS)
            histogram.add(seconds)

    def refused(self, route: str, status: int, field: str) -> None:
        """Count a problem response; of `field`, the path of the fault, only the bounded part is kept."""
        with self._lock:
            self._refusals[route, status, reduced(field, self._channels)] += 1

    def scored(self, contract: Twin, answers: Answers) -> None:
        """Count a call's scored windows."""
        count = len(answers.rows)
        columns = answers.columns
        with self._lock:
            scored = self._scored_of(contract)
            scored.windows += count
            scored.per_call.add(count)
            if contract.rul:
                scored.rul.add_all((columns["rul"] / contract.rul.cap).tolist())
            for axis in contract.axes:
                diagnoses = scored.diagnoses[axis]
                for answer in columns[axis].tolist():
                    diagnoses[answer] += 1
            for warnings in columns["warnings"].tolist():
                for warning in warnings:
                    kind, _, rest = warning.partition(": ")
                    scored.warnings[kind] += 1
                    if kind == OUTSIDE:
                        scored.outside[rest] += 1

    def swapped(self, twin: str, result: str) -> None:
        """Count a promoted champion: "swapped" in, "refused" by its check, or "failed" to load."""
        with self._lock:
            self._swaps[twin, result] += 1

    def serving(self, champions: Mapping[str, Champion]) -> None:
        """Set the active champions by twin; earlier ones lose their series."""
        with self._lock:
            self._champions = dict(champions)
            self._channels = frozenset(c for one in champions.values() for c in one.bundle.contract.channel_names)
            for twin, champion in champions.items():
                self._scored_of(champion.bundle.contract).start(champion.bundle.contract)
                for result in SWAPS:
                    self._swaps[twin, result] += 0

    def exposition(self) -> tuple[bytes, str]:
        """Return the body of GET /metrics and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        """Yield every family but the process' own."""
        with self._lock:
            return [*self.of_calls(), *self._of_scores(), *self._of_models()]

    def _scored_of(self, contract: Twin) -> ScoreCounters:
        scored = self._scored.get(contract.name)
        if scored is None:
            scored = self._scored[contract.name] = ScoreCounters()
            scored.start(contract)
        return scored

    def of_calls(self) -> list[Metric]:
        """Return the families about calls, which every HTTP service has."""
        requests = [((route, method, str(status)), n) for (route, method, status), n in self._requests.items()]
        refusals = [((route, str(status), known), n) for (route, status, known), n in self._refusals.items()]
        seconds = [((route,), histogram) for route, histogram in self._seconds.items()]
        return [
            _family(GaugeMetricFamily, "foretwin_requests_in_flight", [((), self._in_flight)]),
            _family(CounterMetricFamily, "foretwin_requests_total", requests),
            _histogram("foretwin_request_seconds", seconds),
            _family(CounterMetricFamily, "foretwin_refusals_total", refusals),
        ]

    def _of_scores(self) -> list[Metric]:
        twins = self._scored.items()
        diagnoses = [
            ((twin, axis, answer), n)
            for twin, scored in twins
            for axis, found in scored.diagnoses.items()
            for answer, n in found.items()
        ]
        warnings = [((twin, kind), n) for twin, scored in twins for kind, n in scored.warnings.items()]
        outside = [((twin, channel), n) for twin, scored in twins for channel, n in scored.outside.items()]
        return [
            _family(
                CounterMetricFamily, "foretwin_windows_total", [((twin,), scored.windows) for twin, scored in twins]
            ),
            _histogram("foretwin_batch_windows", [((twin,), scored.per_call) for twin, scored in twins]),
            _histogram("foretwin_rul_share", [((twin,), scored.rul) for twin, scored in twins if scored.has_rul]),
            _family(CounterMetricFamily, "foretwin_diagnoses_total", diagnoses),
            _family(CounterMetricFamily, "foretwin_warnings_total", warnings),
            _family(CounterMetricFamily, "foretwin_out_of_training_range_total", outside),
        ]

    def _of_models(self) -> list[Metric]:
        now = datetime.now(UTC)
        models = [(twin, one.identity, one.record.promoted_at) for twin, one in self._champions.items()]
        info = [((twin, one.name, one.version, one.run, one.digest), 1.0) for twin, one, _ in models]
        held = [(name, [((), figure(self._loaded))]) for name, (_, figure) in LOADED.items()]
        age = [((twin,), (now - promoted).total_seconds()) for twin, _, promoted in models if promoted]
        return [
            _family(GaugeMetricFamily, "foretwin_model_info", info),
            _family(GaugeMetricFamily, "foretwin_model_age_seconds", age),
            *(_family(CounterMetricFamily if "_total" in name else GaugeMetricFamily, name, one) for name, one in held),
            _family(CounterMetricFamily, "foretwin_swaps_total", self._swaps.items()),
        ]


def reduced(field: str, channels: Set[str] = frozenset()) -> str:
    """Return a problem's path without indexes and callers' names: one of FIELDS, or "other".

    `assets[0].channels.flow` becomes `assets.channels`, a column that is a channel `channels`.
    """
    first, *others = INDEX.sub("", field[:200]).split(".", 2)
    longer = f"{first}.{others[0]}" if others else first
    if longer in FIELDS:
        return longer
    if first in FIELDS:
        return first
    return "channels" if first in channels else OTHER


def _family(
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    about, labels = FAMILIES[name]
    family = kind(name, about, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _histogram(name: str, values: Iterable[tuple[tuple[str, ...], Histogram]]) -> Metric:
    about, labels = FAMILIES[name]
    family = HistogramMetricFamily(name, about, labels=labels)
    for key, histogram in values:
        family.add_metric(key, histogram.buckets(), histogram.sum)
    return family
