"""Measure speed as ratios within one run, on synthetic turbofan-sized data; writes reports/bench.json.

    python -m benchmarks.speed.pipeline

Nothing here is a test: a ratio holds on the machine and in the minute where it was measured.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Split
from foretwin.dataset.table import canonical
from foretwin.dataset.windows import Histories
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.healthy_baseline import HealthyBaseline
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.encoders import STATISTICS, Shape
from foretwin.training.ensemble import environment, regimes_of
from foretwin.training.lightning_module import MaintenanceModule
from foretwin.training.network import Network, plain
from foretwin.training.onnx import to_onnx
from foretwin.training.scaling import fit_scaling
from foretwin.training.trainer import EPOCHS, Budget, Choice, Cuts, RandomPositions, fit

ASSETS, LIFE, CHANNELS, LENGTH = 249, 246, 24, 120  # C-MAPSS FD004's training set
MEMBERS, BATCH = 5, 256
CHOICE = Choice(trunk="statistics", width=128, depth=1, dropout=0.1, jitter=0.4, lr=5e-3, weight_decay=1e-2)
BUDGET = Budget(windows=51_200, batch=128, seed=1)


def contract(channels: int = CHANNELS) -> Twin:
    """A twin of the size of FD004, or of so many channels c0, c1, ..."""
    described = {f"c{i}": {"unit": "-", "role": "sensor", "min": -9, "max": 9} for i in range(channels)}
    remedy = {"part": "-", "instruction": "-", "lead_time": 0}
    return Twin.model_validate(
        {
            "name": "bench",
            "title": "bench",
            "source": {"kind": "pump", "assets": 1, "seed": 1},
            "clock": {"unit": "cycle", "step": 1},
            "channels": described,
            "rul": {"cap": 125, "remedy": remedy},
            "window": {"length": LENGTH},
        }
    )


def rows(twin: Twin) -> pd.DataFrame:
    """Noise around a trend, in the canonical table."""
    generator = np.random.default_rng(1)
    time_ = np.tile(np.arange(LIFE, dtype=np.float64), ASSETS)
    values = generator.normal(size=(ASSETS * LIFE, CHANNELS)) + (time_ / LIFE)[:, None] ** 2
    frame = pd.DataFrame(values, columns=list(twin.channel_names))
    asset = np.repeat([f"A-{i:03d}" for i in range(ASSETS)], LIFE)
    return canonical(frame.assign(asset=asset, run=1, time=time_, rul=LIFE - 1 - time_), twin)


def best_of(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the quickest of several runs: the one that the rest of the machine disturbed least."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def plain_loop(split: Split, twin: Twin) -> None:
    """The training of `fit` without Lightning: no validation, no curves, no checkpoints."""
    torch.manual_seed(1)
    shape = Shape("statistics", 128, 1, 0.1, 0.4, LENGTH, LENGTH, 0, has_rul=True, classes=())
    steps = BUDGET.windows // BUDGET.batch
    network = plain(fit_scaling(split.histories, split.rows, twin, 1), shape)
    module = MaintenanceModule(network, 125.0, CHOICE.lr, CHOICE.weight_decay, steps)
    optimizer = torch.optim.AdamW(module.parameters(), lr=CHOICE.lr)
    with torch.inference_mode():
        values = module.network.scaling(torch.tensor(split.histories.values)[None])[0].numpy()
    cuts = Cuts(replace(split.histories, values=values), split.train, LENGTH)
    for epoch in range(EPOCHS):
        positions = RandomPositions(len(cuts), steps // EPOCHS, BUDGET)
        positions.set_epoch(epoch)
        for chosen in positions:
            batch = cuts[chosen]
            optimizer.zero_grad()
            loss = module._loss(module.network.read(batch["x"], batch["mask"], batch["age"]), batch)
            torch.autograd.backward(loss)
            optimizer.step()


def measure_training(histories: Histories, twin: Twin) -> dict[str, float]:
    """Windows a second of `fit`, and as a share of the plain loop's."""
    everything = np.arange(len(histories.values))
    split = Split(histories, everything, everything, everything[:512])
    ours = best_of(lambda: fit(split, twin, CHOICE, BUDGET), 3)
    theirs = best_of(lambda: plain_loop(split, twin), 3)
    return {"windows_per_second": round(BUDGET.windows / ours), "share_of_plain_loop": round(theirs / ours, 2)}


def measure_cutting(histories: Histories) -> dict[str, float]:
    """Time to gather every full window, as a multiple of numpy's copy of a sliding view."""
    ends = histories.ends(LENGTH)[:20_000]
    ours = best_of(lambda: histories.cut(ends, LENGTH))
    view = sliding_window_view(histories.values, LENGTH, axis=0).transpose(0, 2, 1)
    floor = best_of(lambda: np.ascontiguousarray(view[: len(ends)]))
    return {"windows_per_second": round(len(ends) / ours), "multiple_of_copying": round(ours / floor, 2)}


def multiply_adds(network: Network) -> int:
    """Of one window: the layers' weights; and for each weighted mean, the spread and the slope every reading once."""
    layers = sum(part.weight.numel() for part in network.modules() if isinstance(part, torch.nn.Linear))
    return layers + STATISTICS * LENGTH * CHANNELS


def matrix_rate() -> float:
    """Multiply-adds a second of a float32 matrix product on one core."""
    torch.set_num_threads(1)
    matrix = torch.rand(1024, 1024)
    return len(matrix) ** 3 / best_of(lambda: matrix @ matrix)


def measure_scoring(histories: Histories, table: pd.DataFrame, twin: Twin) -> dict[str, float]:
    """Milliseconds for one window, and windows a second in one call, through an ensemble on one core."""
    shape = Shape("statistics", 128, 1, 0.1, 0.4, LENGTH, LENGTH, 0, has_rul=True, classes=())
    scaling = fit_scaling(histories, np.arange(len(histories.values)), twin, 1)
    members = [Network(scaling, shape).eval() for _ in range(MEMBERS)]
    with tempfile.TemporaryDirectory() as folder:
        reference = HealthyBaseline.fit(histories, twin, regimes_of(members[0]))
        save_bundle(
            Path(folder), twin, to_onnx(members, twin), RulIntervals(0.9, (50.0,), (10.0,), (10.0,)), reference, {}
        )
        bundle = Bundle.load(Path(folder), threads=1)
    one = table[table["asset"] == "A-000"].tail(LENGTH)
    window = histories.cut(np.array([LIFE - 1]), LENGTH)
    inputs = {"x": window.x, "mask": window.mask, "age": window.age}
    network = best_of(lambda: [bundle.session.run(None, inputs) for _ in range(200)]) / 200
    single = best_of(lambda: [bundle.score(one) for _ in range(100)]) / 100
    everybody = best_of(lambda: bundle.score(table))
    many = histories.cut(np.arange(LENGTH, LENGTH + BATCH), LENGTH)
    inputs_of_many = {"x": many.x, "mask": many.mask, "age": many.age}
    batch = best_of(lambda: [bundle.session.run(None, inputs_of_many) for _ in range(10)]) / 10
    allowed = MEMBERS * BATCH * multiply_adds(members[0]) / matrix_rate()
    return {
        "network_ms": round(1000 * network, 3),
        "one_window_ms": round(1000 * single, 3),
        "network_share_of_score": round(network / single, 2),
        "assets_per_second": round(ASSETS / everybody),
        "batch_ms": round(1000 * batch, 2),
        "share_of_matrix_rate": round(allowed / batch, 2),
    }


def main(out: Path = Path("reports/bench.json")) -> None:
    """Measure everything and write the figures."""
    twin = contract()
    table = rows(twin)
    histories = Histories.from_rows(table, twin)
    result = {
        "machine": environment() | {"cores": str(os.cpu_count())},
        "training": measure_training(histories, twin),
        "cutting": measure_cutting(histories),
        "scoring": measure_scoring(histories, table, twin),
    }
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main()
