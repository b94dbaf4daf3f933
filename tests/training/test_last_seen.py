"""What a network is told of a channel that may be missing, by hand."""

import numpy as np
import pytest
import torch

from foretwin.training.last_seen import LastSeen

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "mask", "filled", "known", "age"),
    [
        ([1, NAN, NAN, 2, NAN], [1, 1, 1, 1, 1], [1, 0, 0, 2, 0], [1, 0, 0, 1, 0], [0, 0.2, 0.4, 0, 0.2]),
        ([NAN, NAN, 3, NAN, NAN], [1, 1, 1, 1, 1], [0, 0, 3, 0, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0.2, 0.4]),
        ([0, 0, 3, NAN, NAN], [0, 0, 1, 0, 1], [0, 0, 3, 0, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0.2, 0.4]),
        ([NAN] * 5, [1] * 5, [0] * 5, [0] * 5, [1] * 5),
    ],
    ids=["at once", "later", "padding and a gap", "never"],
)
def test_value_presence_and_age(values, mask, filled, known, age):
    x = torch.tensor([[[7.0, value] for value in values]])
    told = LastSeen([1])(x, torch.tensor([mask], dtype=torch.float32))[0]
    expected = torch.tensor([[7.0] * 5, filled, known, age], dtype=torch.float32).T
    torch.testing.assert_close(told, expected)


def test_the_age_is_right_in_windows_of_any_length():
    for length in (1, 2, 3, 17, 64, 100):
        x = torch.full((1, length, 1), NAN)
        x[0, 0, 0] = 5
        age = LastSeen([0])(x, torch.ones(1, length))[0, :, 2]
        np.testing.assert_allclose(age.numpy(), np.arange(length) / length, rtol=1e-6)
