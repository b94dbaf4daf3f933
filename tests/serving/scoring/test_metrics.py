"""What the scoring service counts: real scores in, Prometheus' text out, and no series that a caller could make."""

import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from timeit import repeat

import pytest
from prometheus_client.parser import text_string_to_metric_families

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.inputs import read_frame
from foretwin.serving.scoring.metrics import FAMILIES, FIELDS, Metrics, reduced
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

pytestmark = pytest.mark.dated

TWIN = tiny_twin("press")


@pytest.fixture(scope="module")
def bundle():
    with tempfile.TemporaryDirectory() as folder:
        save_tiny_bundle(Path(folder), TWIN)
        yield Bundle.load(Path(folder))


def champion_of(bundle, version, days=2.0):
    identity = ModelIdentity("foretwin-press", version, f"run-{version}", bundle.digest)
    return Champion(identity, bundle, ChampionRecord(promoted_at=datetime.now(UTC) - timedelta(days=days)))


def samples(metrics):
    """(name, labels as sorted pairs) -> value."""
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(metrics, name, **labels):
    return samples(metrics).get((name, tuple(sorted(labels.items()))))


def test_what_was_scored_is_counted_window_by_window(bundle):
    rows = random_rows(TWIN, {"a": 8, "b": 3, "c": 8})
    rows.loc[rows["asset"] == "c", "speed"] = 500.0  # far beyond the training assets' range
    answers = bundle.answer(read_frame(rows, TWIN))
    metrics = Metrics()
    metrics.scored(TWIN, answers)
    metrics.scored(TWIN, answers)

    found = answers.frame()
    assert value(metrics, "foretwin_windows_total", twin="press") == 6
    assert value(metrics, "foretwin_batch_windows_count", twin="press") == 2
    assert value(metrics, "foretwin_batch_windows_bucket", twin="press", le="2.0") == 0
    assert value(metrics, "foretwin_batch_windows_bucket", twin="press", le="4.0") == 2
    assert value(metrics, "foretwin_rul_share_sum", twin="press") == pytest.approx(2 * found["rul"].sum() / 100)
    for bound in ("0.1", "0.6", "0.999", "1.0"):
        expected = 2 * (found["rul"] / 100 <= float(bound)).sum()
        assert value(metrics, "foretwin_rul_share_bucket", twin="press", le=bound) == expected
    for axis in TWIN.axes:
        for answer in (*TWIN.classes(axis), "unknown"):
            expected = 2 * (found[axis] == answer).sum()
            assert value(metrics, "foretwin_diagnoses_total", twin="press", axis=axis, answer=answer) == expected
    assert value(metrics, "foretwin_out_of_training_range_total", twin="press", channel="speed") == 2
    assert value(metrics, "foretwin_warnings_total", twin="press", kind="short_history") == 2
    assert value(metrics, "foretwin_warnings_total", twin="press", kind="out_of_training_range") == sum(
        2 for warnings in found["warnings"] for warning in warnings if warning.startswith("out_of_training_range")
    )


def test_a_twin_without_faults_or_without_rul_has_no_series_of_these():
    for rul, faults in ((True, False), (False, True)):
        twin = tiny_twin("half", rul=rul, faults=faults)
        with tempfile.TemporaryDirectory() as folder:
            save_tiny_bundle(Path(folder), twin)
            answers = Bundle.load(Path(folder)).answer(read_frame(random_rows(twin, {"a": 8}), twin))
        metrics = Metrics()
        metrics.scored(twin, answers)
        names = {name for name, _ in samples(metrics)}
        assert ("foretwin_rul_share_count" in names) is rul
        assert ("foretwin_diagnoses_total" in names) is faults


def test_calls_are_counted_and_their_time_falls_into_buckets():
    metrics = Metrics()
    for status, seconds in ((200, 0.0004), (200, 0.001), (422, 0.2), (200, 60.0)):
        metrics.begun()
        metrics.request("/v1/score", "POST", status, seconds)
    metrics.begun()
    assert value(metrics, "foretwin_requests_total", route="/v1/score", method="POST", status="200") == 3
    assert value(metrics, "foretwin_requests_total", route="/v1/score", method="POST", status="422") == 1
    expected = {"0.0005": 1, "0.001": 2, "0.1": 2, "0.25": 3, "10.0": 3, "+Inf": 4}
    for bound, count in expected.items():
        assert value(metrics, "foretwin_request_seconds_bucket", route="/v1/score", le=bound) == count
    assert value(metrics, "foretwin_request_seconds_sum", route="/v1/score") == pytest.approx(60.2014)
    assert value(metrics, "foretwin_requests_in_flight") == 1


def test_the_series_of_an_old_model_vanish_with_a_swap_and_counters_begin_at_zero(bundle):
    metrics = Metrics()
    metrics.serving({"press": champion_of(bundle, "1")})
    assert value(metrics, "foretwin_windows_total", twin="press") == 0
    assert value(metrics, "foretwin_swaps_total", twin="press", result="refused") == 0
    assert value(metrics, "foretwin_out_of_training_range_total", twin="press", channel="c1") == 0
    metrics.serving({"press": champion_of(bundle, "2", days=0.5)})
    metrics.swapped("press", "swapped")
    models = [dict(labels) for name, labels in samples(metrics) if name == "foretwin_model_info"]
    told = {"twin": "press", "name": "foretwin-press", "version": "2", "run": "run-2", "digest": bundle.digest}
    assert models == [told]
    assert value(metrics, "foretwin_model_age_seconds", twin="press") == pytest.approx(43_200, abs=60)
    assert value(metrics, "foretwin_swaps_total", twin="press", result="swapped") == 1
    metrics.serving({})
    assert not [name for name, _ in samples(metrics) if name.startswith("foretwin_model")]


def test_a_model_of_which_nobody_knows_when_it_was_promoted_has_no_age(bundle):
    metrics = Metrics()
    metrics.serving({"press": Champion(ModelIdentity("n", "1", "r", bundle.digest), bundle)})
    assert value(metrics, "foretwin_model_age_seconds", twin="press") is None
    assert "foretwin_model_info" in {name for name, _ in samples(metrics)}


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        ("assets[0].channels.flow", "assets.channels"),
        ("assets[0].channels.flow[3]", "assets.channels"),
        ("assets[17].time[2]", "assets.time"),
        ("assets[0].whatever", "assets"),
        ("assets.P-17", "assets"),
        ("assets", "assets"),
        ("units.flow", "units"),
        ("twin", "twin"),
        ("body", "body"),
        ("Content-Type", "Content-Type"),
        ("c1", "channels"),
        ("time", "time"),
        ("a name of the caller", "other"),
        ("\ud800[", "other"),
        ("", "other"),
        ("[[[[" * 100_000, "other"),
    ],
)
def test_the_field_of_a_refusal_is_reduced_to_what_the_service_knows(field, kept):
    assert reduced(field, frozenset(TWIN.channel_names)) == kept
    assert kept in FIELDS | {"other"}


def test_callers_cannot_make_series(bundle):
    metrics = Metrics()
    metrics.serving({"press": champion_of(bundle, "1")})

    def calls(names):
        for name in names:
            metrics.begun()
            metrics.request("unknown", name, 404, 0.001)
            for field in (name, f"assets[{name}].{name}", f"{name}.{name}", f"assets[0].channels.{name}"):
                metrics.refused("/v1/score", 422, field)

    calls(["x"])
    before = samples(metrics).keys()
    calls([f"n{i}" for i in range(1000)])
    assert samples(metrics).keys() == before
    refusals = {labels: n for (name, labels), n in samples(metrics).items() if name == "foretwin_refusals_total"}
    assert {dict(labels)["field"]: n for labels, n in refusals.items()} == {
        "other": 2 * 1001,
        "assets": 1001,
        "assets.channels": 1001,
    }


def test_the_exposition_is_prometheus_text_with_every_family_and_the_process(bundle):
    metrics = Metrics()
    metrics.serving({"press": champion_of(bundle, "1")})
    metrics.begun()
    metrics.request("/v1/score", "POST", 200, 0.001)
    metrics.refused("/v1/score", 422, "twin")
    body, kind = metrics.exposition()
    assert kind.startswith("text/plain")
    described = dict(re.findall(r"^# HELP (\S+) (.*)$", body.decode(), re.MULTILINE))
    assert {name: described[name] for name in FAMILIES} == {name: about for name, (about, _) in FAMILIES.items()}
    assert "process_resident_memory_bytes" in described
    labels = {}
    for (name, pairs), _ in samples(metrics).items():
        family = re.sub(r"_(bucket|count|sum)$", "", name)
        labels.setdefault(family, set()).update(label for label, _ in pairs if label != "le")
    assert {name: labels[name] for name in FAMILIES} == {name: set(of) for name, (_, of) in FAMILIES.items()}


def test_threads_lose_no_count(bundle):
    from concurrent.futures import ThreadPoolExecutor

    metrics = Metrics()
    answers = bundle.answer(read_frame(random_rows(TWIN, {"a": 3}), TWIN))

    def work(_):
        for _ in range(500):
            metrics.begun()
            metrics.scored(TWIN, answers)
            metrics.request("/v1/score", "POST", 200, 0.001)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert value(metrics, "foretwin_windows_total", twin="press") == 4000
    assert value(metrics, "foretwin_request_seconds_count", route="/v1/score") == 4000
    assert value(metrics, "foretwin_requests_in_flight") == 0


def test_counting_costs_a_call_of_one_window_little(bundle):
    metrics = Metrics()
    answers = bundle.answer(read_frame(random_rows(TWIN, {"a": 3}), TWIN))

    def call():
        metrics.begun()
        metrics.scored(TWIN, answers)
        metrics.request("/v1/score", "POST", 200, 0.0012)

    microseconds = min(repeat(call, number=2000, repeat=20)) / 2000 * 1e6
    assert microseconds < 40, "8 on a quiet machine"
