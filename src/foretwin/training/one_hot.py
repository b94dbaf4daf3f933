"""Categories as inputs of a network and of features: a column for each word, in the graph that is exported."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

FORGOTTEN = 0.05  # of the windows in training, so that a network learns what to answer without the word


class OneHot(nn.Module):
    """Inputs of channels that hold categories: 1 in the column of a row's word.

    What is unknown, and padding, is 0 in all of them. The first layer of an encoder maps these columns to its width, by
    which it learns a vector for each word: an embedding, without a table of its own. A network learns the unknown from
    windows whose words are forgotten in training; trees find it where no column is 1.
    """

    def __init__(self, categories: Sequence[tuple[int, int]], columns: int) -> None:
        """`categories` are positions of channels among the `columns` inputs, each with how many words it has."""
        super().__init__()
        of_words = [position for position, _ in categories]
        self.kept = [i for i in range(columns) if i not in of_words]
        self.categories = list(categories)
        is_number = torch.ones(columns)
        is_number[of_words] = 0
        self.register_buffer("is_number", is_number, persistent=False)  # (C,)

    @property
    def width(self) -> int:
        """Return the number of columns that come out."""
        return len(self.kept) + sum(count for _, count in self.categories)

    def shifted(self, x: Tensor, by: Tensor) -> Tensor:
        """Add `by` (B, 1, C) to the numbers of x (B, T, C), not to the words."""
        return x + by * cast(Tensor, self.is_number)[: x.shape[2]]

    def forward(self, x: Tensor) -> Tensor:
        """Convert x (B, T, columns), with the numbers of words, to (B, T, width): numbers, then words."""
        parts = [x[:, :, self.kept]]
        for position, count in self.categories:
            words = torch.arange(1, count + 1, dtype=x.dtype, device=x.device)
            code = x[:, :, position : position + 1]
            if self.training:
                code = code * (torch.rand_like(code[:, :1]) >= FORGOTTEN)
            parts.append((code == words).to(x.dtype))
        return torch.cat(parts, dim=2)
