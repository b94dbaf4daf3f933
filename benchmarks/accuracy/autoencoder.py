"""Floor of health without labels: a convolutional autoencoder of windows, and what it does not reconstruct.

Two convolutions along time squeeze a window of standardised rows into a few numbers, two transposed ones restore it;
the mean square of what is left is the distance from normal (as in Malhotra and others, LSTM-based Encoder-Decoder for
Multi-sensor Anomaly Detection, 2016, with convolutions in the place of the LSTM). Fitted to fault-free rows alone.
"""

import warnings
from collections.abc import Callable

import lightning as L  # noqa: N812 - the library's own convention
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

WIDTH, SQUEEZED = 32, 8  # channels of the hidden layer and of the code
EPOCHS, BATCH, RATE, SEED = 60, 32, 2e-3, 1

Values = NDArray[np.float64]


class ConvolutionalAutoencoder(L.LightningModule):
    """Autoencoder of windows (B, C, T) of standardised channels; T is a multiple of 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(channels, WIDTH, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(WIDTH, SQUEEZED, 4, stride=2, padding=1),
            nn.ConvTranspose1d(SQUEEZED, WIDTH, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose1d(WIDTH, channels, 4, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what is left of windows (B, C, T): their mean squares (B,)."""
        left: Tensor = self.layers(x) - x
        return left.square().mean(dim=(1, 2))

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """One batch: windows (B, C, T)."""
        return self.forward(batch[0]).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at a constant rate."""
        return torch.optim.Adam(self.parameters(), lr=RATE)


def fit_autoencoder(normal: Values, length: int, epochs: int = EPOCHS) -> Callable[[Values], Values]:
    """Fit to all windows of `length` of fault-free rows (T, C); return what tells rows (N, C) by how far they are (N,).

    The first rows, which have no whole window, have the first one's.
    """
    centre, spread = normal.mean(axis=0), normal.std(axis=0)

    def windows(rows: Values) -> Tensor:
        scaled = np.lib.stride_tricks.sliding_window_view((rows - centre) / spread, length, axis=0)  # (N, C, T)
        return torch.from_numpy(scaled.astype(np.float32))

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how many workers load a table that lies in memory
        torch.manual_seed(SEED)
        model = ConvolutionalAutoencoder(normal.shape[1])
        loader = DataLoader(TensorDataset(windows(normal)), batch_size=BATCH, shuffle=True)
        trainer = L.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, loader)

    def told(rows: Values) -> Values:
        with torch.inference_mode():
            away = model.eval()(windows(rows)).numpy().astype(np.float64)
        return np.concatenate([np.full(length - 1, away[0]), away])

    return told
