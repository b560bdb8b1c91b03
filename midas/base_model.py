"""What upstream's classes of MiDaS have in common: a file by its path, and a call."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from torch import Tensor

from depth.network.base import Network
from depth.network.drop_in import DropIn
from depth.weights.checkpoint import read_checkpoint
from midas.layouts import load_weights


class BaseModel(DropIn):
    """In the place of the class of the same name in isl-org/MiDaS.

    A call changes nothing on the object: calls may come from several threads, at any sizes that are
    multiples of 32 px. A change of the weights takes effect at the next call.
    """

    def __init__(self, network: Network, path: Optional[str]) -> None:
        super().__init__()
        self.network = network
        if path is not None:
            self.load(path)

    def load(self, path: str) -> None:
        """Load a checkpoint file of any known layout; no code in the file is run.

        Raises CheckpointError that names the keys that do not fit.
        """
        load_weights(self.network, read_checkpoint(Path(path)).state, str(path))

    def forward(self, x: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]; H, W multiples of 32
        depth: Tensor = self.network(x)
        return depth
