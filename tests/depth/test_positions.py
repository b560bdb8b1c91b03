"""Tables of rotary positions, and embeddings of places in a picture."""

from __future__ import annotations

import numpy as np
import torch

from depth.network.rotary import QuarterTurn, patch_positions, rotary_tables, shared_positions
from depth.network.uv import added, uv_embedding

CPU = torch.device("cpu")


def test_tables_of_rotary_positions() -> None:
    positions = patch_positions(2, 3, CPU)
    assert positions.tolist() == [[0, 0], [1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
    assert shared_positions(2, 3, CPU).tolist() == [[0, 0], *[[1, 1]] * 6]
    cosine, sine = rotary_tables(positions, 16)
    angles = [row * 100 ** -(k / 4) for row in (2.0,) for k in (0, 1, 2, 3)]
    assert np.allclose(cosine[6, :8], np.cos([*angles, *angles]), atol=1e-6)
    assert np.allclose(sine[6, 8:12], np.sin(1.5 * np.array(angles)), atol=1e-6)
    # Queries and keys meet by the difference of their places alone.
    turn, generator = QuarterTurn(16), torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=generator)
    turned = [x * cosine + turn(x) * sine for x in (q, k)]  # [1,1,7,16]
    logits = (turned[0] @ turned[1].transpose(-2, -1))[0, 0]
    assert torch.allclose(logits[1, 2], logits[5, 6], atol=1e-5)  # one column on
    assert torch.allclose(logits[1, 5], logits[2, 6], atol=1e-5)  # one row and one column on
    assert not torch.allclose(logits[1, 2], logits[1, 4], atol=1e-3)


def test_embeddings_of_columns_and_rows() -> None:
    columns, rows = uv_embedding(8, (2, 4), 2.0, CPU)
    assert columns.shape == (1, 8, 1, 4)
    assert rows.shape == (1, 8, 2, 1)
    u = 2 / np.sqrt(5) * np.array([-3, -1, 1, 3]) / 4
    v = 1 / np.sqrt(5) * np.array([-1, 1]) / 2
    assert np.allclose(columns[0, :2, 0], 0.1 * np.sin([u, u / 10]), atol=1e-7)
    assert np.allclose(columns[0, 2:4, 0], 0.1 * np.cos([u, u / 10]), atol=1e-7)
    assert np.allclose(rows[0, 4:6, :, 0], 0.1 * np.sin([v, v / 10]), atol=1e-7)
    assert not columns[0, 4:].any()
    assert not rows[0, :4].any()
    x = torch.ones(2, 8, 2, 4)
    assert torch.equal(added(x, (columns, rows)), x + (columns + rows))
