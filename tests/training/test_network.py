"""The network's trunks and losses: what may influence an output, and what may not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from foretwin.training.encoders import ENCODERS, HALF_LIVES, PATCH, WindowStatistics
from foretwin.training.network import (
    BINS,
    Network,
    Output,
    Scaling,
    masked_cross_entropy,
    masked_distribution_loss,
    plain,
)
from support.small_fleet import fleet_twin
from support.small_network import shape_of

CHANNELS = 4
SCALING = Scaling(
    settings=(1,),
    centres=((1000.0,), (2000.0,)),
    spread=(500.0,),
    mean=((50.0, 1500.0, 3.0, 123.0), (100.0, 1500.0, 43.0, 123.0)),
    scale=((5.0, 500.0, 1.0, 1.0), (10.0, 500.0, 2.0, 1.0)),
    age=30.0,
)
LENGTHS = (PATCH, 2 * PATCH + 1, 2 * PATCH + 2, 3 * PATCH - 1)
DEPTHS = (1, 3)


def network(trunk: str, length: int = 10, depth: int = 1, questions: str = "both", whole: bool = False) -> Network:
    torch.manual_seed(1)
    return Network(SCALING, shape_of(fleet_twin(questions, length, whole=whole), trunk, depth)).eval()


def windows(count: int = 6, length: int = 10, rows: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """x, mask and age of random windows around the scaling's means, of which the last `rows` rows are there."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(count, length, CHANNELS, generator=generator)
    regime = (x[:, :, 1] > 0).long()
    x = x * torch.tensor(SCALING.scale)[regime] + torch.tensor(SCALING.mean)[regime]
    x[:, :, 1] = torch.tensor(SCALING.centres)[regime, 0]
    mask = torch.zeros(count, length)
    mask[:, length - (rows or length) :] = 1
    return x, mask, torch.linspace(1, 60, count)


def flat(net: Network, x: Tensor, mask: Tensor, age: Tensor) -> Tensor:
    """(B, BINS + sum of K): every number of the output."""
    with torch.inference_mode():
        out = net(x, mask, age)
    return torch.cat([out.bins, *out.logits], dim=1)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("trunk", ENCODERS)
def test_a_trunk_answers_every_question_for_windows_of_any_length(trunk: str, length: int, whole: bool) -> None:
    out = network(trunk, length, whole=whole)(*windows(length=length))
    assert out.rul.shape == (6,)
    assert [logits.shape for logits in out.logits] == [(6, 3), (6, 2)]
    assert all(bool(part.isfinite().all()) for part in (out.rul, *out.logits))


@pytest.mark.parametrize("trunk", ENCODERS)
def test_a_twin_without_an_rul_or_without_faults_has_no_such_head(trunk: str) -> None:
    only_faults, only_rul = network(trunk, questions="faults"), network(trunk, questions="rul")
    assert only_faults.rul is None
    assert [logits.shape[1] for logits in only_faults(*windows()).logits] == [3, 2]
    assert only_rul(*windows()).logits == []
    assert only_rul(*windows()).rul.std() > 0


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("trunk", ENCODERS)
def test_what_stands_in_padded_rows_cannot_influence_the_output(trunk: str, depth: int, whole: bool) -> None:
    for rows in (1, 3, 9):
        x, mask, age = windows(rows=rows)
        garbage = torch.where(mask[:, :, None] > 0, x, 1e6 * torch.randn(x.shape))
        zeros = torch.where(mask[:, :, None] > 0, x, 0.0)
        net = network(trunk, depth=depth, whole=whole)
        torch.testing.assert_close(flat(net, garbage, mask, age), flat(net, zeros, mask, age), rtol=0, atol=1e-6)


@pytest.mark.parametrize("trunk", ENCODERS)
def test_how_many_rows_are_padding_is_seen(trunk: str) -> None:
    x, _, age = windows()
    x[:] = x[:, :1]  # every row alike: only the mask tells a short history from a long one
    net = network(trunk)
    short, full = (flat(net, x, windows(rows=rows)[1], age) for rows in (2, 10))
    assert (short - full).abs().max() > 1e-4


@pytest.mark.parametrize("trunk", ENCODERS)
def test_a_window_of_a_single_row_gives_finite_outputs_that_depend_on_it(trunk: str) -> None:
    x, mask, age = windows(rows=1)
    out = flat(network(trunk), x, mask, age)
    other = flat(network(trunk), x + torch.tensor([3.0, 0, 0, 0]), mask, age)
    assert out.isfinite().all()
    assert (out - other).abs().max() > 1e-4


@pytest.mark.parametrize("trunk", ENCODERS)
def test_the_order_of_the_rows_matters(trunk: str) -> None:
    x, mask, age = windows()
    net = network(trunk)
    assert (flat(net, x, mask, age) - flat(net, x.flip(1), mask, age)).abs().max() > 1e-3


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("trunk", ENCODERS)
def test_every_row_of_the_window_is_read(trunk: str, length: int) -> None:
    x, mask, age = windows(length=length)
    x.requires_grad_()
    out = network(trunk, length)(x, mask, age)
    (out.rul.sum() + sum(logits[:, 0].sum() for logits in out.logits)).backward()
    assert x.grad is not None
    assert (x.grad[:, :, 2].abs().amax(0) > 0).all(), "some row of the vibration has no influence"


@pytest.mark.parametrize("trunk", ENCODERS)
def test_rows_beyond_its_reach_cannot_influence_a_network(trunk: str) -> None:
    shape = replace(shape_of(fleet_twin(), trunk), reach=4)
    torch.manual_seed(1)
    net = Network(SCALING, shape).eval()
    x, mask, age = windows()
    older, within = x.clone(), x.clone()
    older[:, :-4, 2] += 3
    within[:, -4, 2] += 3
    torch.testing.assert_close(flat(net, older, mask, age), flat(net, x, mask, age), rtol=0, atol=1e-6)
    assert (flat(net, within, mask, age) - flat(net, x, mask, age)).abs().max() > 1e-4


@pytest.mark.parametrize("trunk", ENCODERS)
def test_a_window_s_output_does_not_depend_on_its_batch(trunk: str) -> None:
    x, mask, age = windows(count=40)
    net = network(trunk)
    alone = torch.cat([flat(net, x[i : i + 1], mask[i : i + 1], age[i : i + 1]) for i in range(40)])
    torch.testing.assert_close(flat(net, x, mask, age), alone, rtol=0, atol=1e-5)


def test_a_window_is_split_into_patches_from_its_end_and_patches_of_padding_alone_are_not_averaged() -> None:
    x, mask, age = windows(length=2 * PATCH + 1)
    net = network("convolution", length=2 * PATCH + 1)
    for length in (3 * PATCH, 4 * PATCH):  # without and with a patch of padding alone
        longer = network("convolution", length)
        longer.load_state_dict(net.state_dict())
        if length > 3 * PATCH:  # such a patch is convolved, too: without convolutions only the mean could tell
            for parameter in (*net.trunk.blocks.parameters(), *longer.trunk.blocks.parameters()):
                torch.nn.init.zeros_(parameter)
        more = length - x.shape[1]
        padded = torch.nn.functional.pad(x, (0, 0, more, 0)), torch.nn.functional.pad(mask, (more, 0))
        torch.testing.assert_close(flat(longer, *padded, age), flat(net, x, mask, age), rtol=0, atol=1e-6)


def test_the_statistics_of_a_window_are_those_worked_by_hand() -> None:
    x, mask = torch.tensor([[[0.0], [1.0], [2.0], [6.0]]]), torch.tensor([[0.0, 1.0, 1.0, 1.0]])
    got = WindowStatistics(length=4, segments=2)(x, mask)[0].tolist()
    recent = [(1 * w**2 + 2 * w + 6) / (w**2 + w + 1) for w in (0.5 ** (1 / h) for h in HALF_LIVES)]
    spread = np.sqrt((4 + 1 + 9) / 3)  # around the mean, 3
    slope = 4 * np.polyfit([0, 1, 2], [1, 2, 6], 1)[0]  # over the length of a whole window
    segments = [1, 4]  # the first one has a row of padding
    damped = 2 / 16 / (2 / 16 + 1e-2)  # what the guard against a single row leaves of the slope
    assert got == pytest.approx([3, *recent, *segments, spread, slope * damped, 0.75], rel=1e-5)


def test_a_segment_without_any_row_is_zero() -> None:
    x, mask = torch.tensor([[[7.0], [7.0], [2.0], [6.0]]]), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    got = WindowStatistics(length=4, segments=2)(x * mask[:, :, None], mask)[0]
    assert got[1 + len(HALF_LIVES) :][:2].tolist() == [0, 4]


def test_age_is_an_input_only_where_the_scaling_has_one() -> None:
    x, mask, age = windows()
    torch.manual_seed(1)
    ageless = Network(replace(SCALING, age=0.0), shape_of(fleet_twin())).eval()
    torch.testing.assert_close(flat(ageless, x, mask, age), flat(ageless, x, mask, 2 * age))
    net = network("statistics")
    assert (flat(net, x, mask, age) - flat(net, x, mask, 2 * age)).abs().max() > 1e-3


@pytest.mark.parametrize("trunk", ENCODERS)
def test_chance_plays_a_part_in_training_and_none_in_prediction(trunk: str) -> None:
    net = network(trunk)
    assert torch.equal(flat(net, *windows()), flat(net, *windows()))
    net.train()
    assert not torch.equal(flat(net, *windows()), flat(net, *windows()))


def test_a_wild_reading_is_limited() -> None:
    x, mask, age = windows()
    wild, wilder = x.clone(), x.clone()
    wild[:, -1, 2], wilder[:, -1, 2] = 1e5, 1e9
    net = network("statistics")
    torch.testing.assert_close(flat(net, wild, mask, age), flat(net, wilder, mask, age))


def test_plain_values_rebuild_the_same_network() -> None:
    net = network("gru")
    values = plain(SCALING, shape_of(fleet_twin(), "gru"))
    again = Network(Scaling(**values["scaling"]), type(shape_of(fleet_twin()))(**values["shape"])).eval()
    again.load_state_dict(net.state_dict())
    assert torch.equal(flat(net, *windows()), flat(again, *windows()))


def test_the_distribution_s_loss_is_least_where_its_mean_is_the_truth() -> None:
    truths = torch.tensor([0.0, 0.3, 1.0])
    for truth in truths:
        bins = torch.zeros(1, BINS, requires_grad=True)
        optimizer = torch.optim.Adam([bins], lr=0.3)
        for _ in range(300):
            optimizer.zero_grad()
            masked_distribution_loss(bins, truth[None]).backward()
            optimizer.step()
        assert Output(bins.detach(), []).rul.item() == pytest.approx(truth.item(), abs=0.02)


def test_the_distribution_s_loss_is_the_mean_over_the_known_truths() -> None:
    bins, nan = torch.randn(3, BINS), float("nan")
    one, other = (masked_distribution_loss(bins[i : i + 1], torch.tensor([0.4])) for i in (0, 2))
    both = masked_distribution_loss(bins, torch.tensor([0.4, nan, 0.4]))
    assert both.item() == pytest.approx((one.item() + other.item()) / 2, rel=1e-6)
    assert masked_distribution_loss(bins, torch.tensor([nan, nan, nan])).item() == 0


def test_the_cross_entropy_is_the_mean_over_the_known_classes() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]))
    expected = -(np.log(0.5) + np.log(0.8)) / 2
    assert masked_cross_entropy(logits, torch.tensor([0, -1, 1])).item() == pytest.approx(expected, rel=1e-6)
    assert masked_cross_entropy(logits, torch.tensor([-1, -1, -1])).item() == 0


def test_unknown_labels_send_no_gradient_and_no_nan() -> None:
    predicted, logits = torch.ones(3, BINS, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    unknown = torch.full((3,), float("nan"))
    loss = masked_distribution_loss(predicted, unknown) + masked_cross_entropy(logits, torch.full((3,), -1))
    loss.backward()
    assert predicted.grad is not None
    assert logits.grad is not None
    assert torch.equal(predicted.grad, torch.zeros(3, BINS))
    assert torch.equal(logits.grad, torch.zeros(3, 2))
    masked_distribution_loss(predicted, torch.tensor([0.0, float("nan"), 0.0])).backward()
    assert predicted.grad.abs().sum(dim=1).gt(0).tolist() == [True, False, True]
