"""The transforms of Winograd's convolution, one by one, against the matrices of the formula."""

import numpy as np

from tinymed.kernels.cpu import winograd_loops as loops

B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]).T
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]]).T


def transformed(x, top, left, tiles, outputs):
    """Run the input's transform over all tile lines; return V as (4, 4, N, TH, TW, C)."""
    N, H, W, C = x.shape
    TH, TW = tiles
    space = N * TH * TW * C
    lines, v = np.empty(16 * (TW + 1) * C), np.empty(16 * space)
    loops._transform_inputs(x.reshape(-1), lines, v, space, 0, N * TH, (H, W, C, top, left, TH, TW, *outputs, N))
    return v.reshape(4, 4, N, TH, TW, C)


def test_inputs_are_transformed_tile_by_tile_with_zeros_outside():
    x = np.random.default_rng(0).standard_normal((2, 5, 7, 3))
    v = transformed(x, 1, 1, (3, 4), (5, 7))
    padded = np.pad(x, ((0, 0), (1, 3), (1, 3), (0, 0)))
    for n, th, tw in np.ndindex(2, 3, 4):
        d = padded[n, 2 * th : 2 * th + 4, 2 * tw : 2 * tw + 4]
        np.testing.assert_allclose(v[:, :, n, th, tw], np.einsum("ia,abc,bj->ijc", B.T, d, B), atol=1e-12)


def test_the_way_back_is_the_transpose():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5, 7, 3))
    shape, space = (5, 7, 3, 1, 1, 3, 4, 5, 7, 2), 2 * 3 * 4 * 3
    v = transformed(x, 1, 1, (3, 4), (5, 7))
    dv, dx = rng.standard_normal(v.shape), np.zeros(x.size)
    loops._transform_inputs_back(dv.reshape(-1), space, np.empty(16 * 5 * 3), dx, 0, 6, shape)
    np.testing.assert_allclose(np.sum(v * dv), np.sum(x.reshape(-1) * dx), rtol=1e-12)


def test_outputs_are_folded_and_unfolded():
    rng = np.random.default_rng(2)
    m = rng.standard_normal((4, 4, 6))
    folded = m.copy().reshape(-1)
    for j in range(4):
        loops._fold(folded, j * 6, 24, 6)
    for i in range(2):
        loops._fold(folded, i * 24, 6, 6)
    y = np.einsum("ai,ijt,jb->abt", A.T, m, A)
    np.testing.assert_allclose(folded.reshape(4, 4, 6)[:2, :2], y, atol=1e-12)
    unfolded = np.zeros((4, 4, 6))
    unfolded[:2, :2] = y
    unfolded = unfolded.reshape(-1)
    for i in range(2):
        loops._unfold(unfolded, i * 24, 6, 6)
    for j in range(4):
        loops._unfold(unfolded, j * 6, 24, 6)
    np.testing.assert_allclose(unfolded.reshape(4, 4, 6), np.einsum("ia,abt,bj->ijt", A, y, A.T), atol=1e-12)
