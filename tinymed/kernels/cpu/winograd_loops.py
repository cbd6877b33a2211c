"""The loops of Winograd's convolution, block by block of tile lines (see :mod:`tinymed.kernels.cpu.winograd`).

The additions run over whole lines of tiles at once: a line of pixels is kept as its even columns, then its odd ones.
U, V and M are what the kernel, the inputs and their products are behind the transforms.

All kernels count (H, W, C, padding above and left, TH, TW, OH, OW, N): image, tiles, outputs, images.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.kernels.cpu.compiling import jit

# Arrays are flat, so that each loop runs over few arrays and many values. Unsigned indices cannot be negative, which
# lets the compiler use vector instructions.


@jit
def _copy(x: Any, i: int, out: Any, k: int, count: int) -> None:
    a, c = np.uint64(i), np.uint64(k)
    for t in range(np.uint64(count)):
        out[c + t] = x[a + t]


@jit
def _clear(out: Any, k: int, count: int) -> None:
    c = np.uint64(k)
    for t in range(np.uint64(count)):
        out[c + t] = 0


@jit
def _plus(x: Any, i: int, j: int, out: Any, k: int, count: int) -> None:
    a, b, c = np.uint64(i), np.uint64(j), np.uint64(k)
    for t in range(np.uint64(count)):
        out[c + t] = x[a + t] + x[b + t]


@jit
def _minus(x: Any, i: int, j: int, out: Any, k: int, count: int) -> None:
    a, b, c = np.uint64(i), np.uint64(j), np.uint64(k)
    for t in range(np.uint64(count)):
        out[c + t] = x[a + t] - x[b + t]


@jit
def _add(x: Any, i: int, out: Any, k: int, count: int) -> None:
    a, c = np.uint64(i), np.uint64(k)
    for t in range(np.uint64(count)):
        out[c + t] += x[a + t]


@jit
def _subtract(x: Any, i: int, out: Any, k: int, count: int) -> None:
    a, c = np.uint64(i), np.uint64(k)
    for t in range(np.uint64(count)):
        out[c + t] -= x[a + t]


@jit
def _fold(m: Any, i: int, step: int, count: int) -> None:
    """Multiply by A': of four arrays, ``step`` values apart, the first two become the two results."""
    m0, m1, m2, m3 = np.uint64(i), np.uint64(i + step), np.uint64(i + 2 * step), np.uint64(i + 3 * step)
    for t in range(np.uint64(count)):
        b, c = m[m1 + t], m[m2 + t]
        m[m0 + t] += b + c
        m[m1 + t] = b - c - m[m3 + t]


@jit
def _unfold(m: Any, i: int, step: int, count: int) -> None:
    """Multiply by A: the first two of four arrays become all four."""
    m0, m1, m2, m3 = np.uint64(i), np.uint64(i + step), np.uint64(i + 2 * step), np.uint64(i + 3 * step)
    for t in range(np.uint64(count)):
        a, b = m[m0 + t], m[m1 + t]
        m[m1 + t] = a + b
        m[m2 + t] = a - b
        m[m3 + t] = -b


# --- inputs --------------------------------------------------------------------------------------------------------


@jit
def _transform_inputs(x: Any, lines: Any, v: Any, space: int, first: int, last: int, shape: tuple[int, ...]) -> None:
    """Write V = B' d B of tile lines ``first`` to ``last`` (N, TH counted through); 16 spans of ``space`` values."""
    H, W, C, ph, pw, TH, TW = shape[:7]
    half = (TW + 1) * C
    size = 2 * half
    count = TW * C
    for line in range(first, last):
        n, th = line // TH, line % TH
        for r in range(4):
            h = 2 * th - ph + r
            for k in range(2 * TW + 2):
                w = k - pw
                to = r * size + k % 2 * half + k // 2 * C
                if h < 0 or h >= H or w < 0 or w >= W:
                    _clear(lines, to, C)
                else:
                    _copy(x, ((n * H + h) * W + w) * C, lines, to, C)
        t = 4 * size  # behind the four lines, B' of them
        _minus(lines, 0, 2 * size, lines, t, size)
        _plus(lines, size, 2 * size, lines, t + size, size)
        _minus(lines, 2 * size, size, lines, t + 2 * size, size)
        _minus(lines, size, 3 * size, lines, t + 3 * size, size)
        for i in range(4):
            even, odd = t + i * size, t + i * size + half
            to = 4 * i * space + (line - first) * count
            _minus(lines, even, even + C, v, to, count)
            _plus(lines, odd, even + C, v, to + space, count)
            _minus(lines, even + C, odd, v, to + 2 * space, count)
            _minus(lines, odd, odd + C, v, to + 3 * space, count)


@jit
def _transform_inputs_back(
    v: Any, space: int, lines: Any, dx: Any, first: int, last: int, shape: tuple[int, ...]
) -> None:
    """Add B dV B' of the tile lines to dx: the transpose of :func:`_transform_inputs`."""
    H, W, C, ph, pw, TH, TW = shape[:7]
    half = (TW + 1) * C
    size = 2 * half
    count = TW * C
    t = 4 * size
    for line in range(first, last):
        n, th = line // TH, line % TH
        _clear(lines, t, 4 * size)
        for i in range(4):
            even, odd = t + i * size, t + i * size + half
            at = 4 * i * space + (line - first) * count
            _add(v, at, lines, even, count)
            _subtract(v, at, lines, even + C, count)
            _add(v, at + space, lines, odd, count)
            _add(v, at + space, lines, even + C, count)
            _add(v, at + 2 * space, lines, even + C, count)
            _subtract(v, at + 2 * space, lines, odd, count)
            _add(v, at + 3 * space, lines, odd, count)
            _subtract(v, at + 3 * space, lines, odd + C, count)
        _copy(lines, t, lines, 0, size)
        _minus(lines, t + size, t + 2 * size, lines, size, size)
        _add(lines, t + 3 * size, lines, size, size)
        _minus(lines, t + 2 * size, t, lines, 2 * size, size)
        _add(lines, t + size, lines, 2 * size, size)
        _clear(lines, 3 * size, size)
        _subtract(lines, t + 3 * size, lines, 3 * size, size)
        for r in range(4):
            h = 2 * th - ph + r
            if h < 0 or h >= H:
                continue
            for k in range(2 * TW + 2):
                w = k - pw
                if w >= 0 and w < W:
                    _add(lines, r * size + k % 2 * half + k // 2 * C, dx, ((n * H + h) * W + w) * C, C)


# --- forward -------------------------------------------------------------------------------------------------------


@jit
def _products(v: Any, u: Any, m: Any, tiles: int, space_v: int, space_m: int) -> None:
    """Write M = V U, place by place; the results fold to the four outputs in spans 0, 1, 4 and 5."""
    _, C, F = u.shape
    for p in range(16):
        of = v[p * space_v : p * space_v + tiles * C].reshape(tiles, C)
        to = m[p * space_m : p * space_m + tiles * F].reshape(tiles, F)
        np.dot(of, u[p], to)
    for j in range(4):
        _fold(m, j * space_m, 4 * space_m, tiles * F)
    for i in range(2):
        _fold(m, 4 * i * space_m, space_m, tiles * F)


@jit
def winograd_lines(
    first: int, last: int, x: Any, u: Any, bias: Any, relu: bool, y: Any, block: int, shape: tuple[int, ...]
) -> None:
    """Convolve blocks ``first`` to ``last`` of ``block`` tile lines each, with bias, and ReLU if asked for."""
    _, _, C, _, _, TH, TW, OH, OW, N = shape
    F = u.shape[2]
    space_v, space_m = block * TW * C, block * TW * F
    lines, v, m = np.empty(16 * (TW + 1) * C, x.dtype), np.empty(16 * space_v, x.dtype), np.empty(16 * space_m, x.dtype)
    for index in range(first, last):
        a = index * block
        b = min(a + block, N * TH)
        _transform_inputs(x, lines, v, space_v, a, b, shape)
        _products(v, u, m, (b - a) * TW, space_v, space_m)
        for tile in range((b - a) * TW):
            n, th, tw = (a + tile // TW) // TH, (a + tile // TW) % TH, tile % TW
            for q in range(4):
                oh, ow = 2 * th + q // 2, 2 * tw + q % 2
                if oh < OH and ow < OW:
                    to = ((n * OH + oh) * OW + ow) * F
                    _copy(m, (4 * (q // 2) + q % 2) * space_m + tile * F, y, to, F)
                    if bias.size:
                        _finish(y, to, bias, relu)


@jit
def _finish(y: Any, at: int, bias: Any, relu: bool) -> None:
    """Add the bias to one pixel, and take the ReLU if asked for."""
    a = np.uint64(at)
    zero = y.dtype.type(0)
    if relu:
        for f in range(np.uint64(bias.size)):
            z = y[a + f] + bias[f]
            y[a + f] = zero if z < 0 else z  # NaN stays NaN
    else:
        for f in range(np.uint64(bias.size)):
            y[a + f] += bias[f]


@jit
def winograd_pool_lines(
    first: int, last: int, x: Any, u: Any, bias: Any, y: Any, winner: Any, block: int, shape: tuple[int, ...]
) -> None:
    """Convolve blocks of tile lines, with bias and ReLU, and keep the largest of each tile: it is a window of 2 x 2."""
    _, _, C, _, _, TH, TW, _, _, N = shape
    F = u.shape[2]
    space_v, space_m = block * TW * C, block * TW * F
    lines, v, m = np.empty(16 * (TW + 1) * C, x.dtype), np.empty(16 * space_v, x.dtype), np.empty(16 * space_m, x.dtype)
    for index in range(first, last):
        a = index * block
        b = min(a + block, N * TH)
        _transform_inputs(x, lines, v, space_v, a, b, shape)
        _products(v, u, m, (b - a) * TW, space_v, space_m)
        to, count = a * TW * F, (b - a) * TW * F
        _copy(m, 0, y, to, count)
        w = np.uint64(to)
        for t in range(np.uint64(count)):
            winner[w + t] = 0
        _larger(m, space_m, y, winner, to, count, np.uint8(1))
        _larger(m, 4 * space_m, y, winner, to, count, np.uint8(2))
        _larger(m, 5 * space_m, y, winner, to, count, np.uint8(3))
        for tile in range((b - a) * TW):
            _finish(y, to + tile * F, bias, True)  # the same bias for all four, and ReLU keeps their order


@jit
def _larger(m: Any, at: int, y: Any, winner: Any, to: int, count: int, which: Any) -> None:
    """Let values of ``m`` that are larger than the best so far (or NaN, once) take its place."""
    a, b = np.uint64(at), np.uint64(to)
    for t in range(np.uint64(count)):
        value, best = m[a + t], y[b + t]
        better = (value > best) | ((value != value) & (best == best))
        y[b + t] = value if better else best
        winner[b + t] = which if better else winner[b + t]


# --- backward ------------------------------------------------------------------------------------------------------


@jit
def _transform_gradients(
    dy: Any, y: Any, winner: Any, m: Any, space: int, first: int, last: int, filters: int, shape: tuple[int, ...]
) -> None:
    """Write dM = A dY A' of tile lines; behind a ReLU (``y``) and a maximum (``winner``) dY is what passes them."""
    _, _, _, _, _, TH, TW, OH, OW, _ = shape
    F = filters
    zero = m.dtype.type(0)
    for tile in range((last - first) * TW):
        line = first + tile // TW
        n, th, tw = line // TH, line % TH, tile % TW
        for q in range(4):
            oh, ow = 2 * th + q // 2, 2 * tw + q % 2
            to = (4 * (q // 2) + q % 2) * space + tile * F
            at = (line * TW + tw) * F if winner.size else ((n * OH + oh) * OW + ow) * F
            c, a = np.uint64(to), np.uint64(at)
            if winner.size:
                for f in range(np.uint64(F)):
                    m[c + f] = dy[a + f] if (winner[a + f] == q) & (y[a + f] > 0) else zero
            elif oh >= OH or ow >= OW:
                _clear(m, to, F)
            elif y.size:
                for f in range(np.uint64(F)):
                    m[c + f] = dy[a + f] if y[a + f] > 0 else zero
            else:
                _copy(dy, at, m, to, F)
    count = (last - first) * TW * F
    for i in range(2):
        _unfold(m, 4 * i * space, space, count)
    for j in range(4):
        _unfold(m, j * space, 4 * space, count)


@jit
def winograd_gradient_chunks(
    first: int,
    last: int,
    x: Any,
    u: Any,
    dy: Any,
    y: Any,
    winner: Any,
    dx: Any,
    dus: Any,
    dbiases: Any,
    per_chunk: int,
    block: int,
    shape: tuple[int, ...],
) -> None:
    """Make all gradients of chunks ``first`` to ``last``, each of ``per_chunk`` images, block by block of tile lines.

    ``u`` is (16, F, C) here; dx is made if it has any values. A chunk's sums dU and of the bias are its own.
    """
    H, W, C, _, _, TH, TW, OH, OW, N = shape
    F = u.shape[1]
    pixels = H * W * C
    outputs = TH * TW * F if winner.size else OH * OW * F
    space_v, space_m = block * TW * C, block * TW * F
    lines, v, m = np.empty(16 * (TW + 1) * C, x.dtype), np.empty(16 * space_v, x.dtype), np.empty(16 * space_m, x.dtype)
    product = np.empty((C, F), x.dtype)
    for chunk in range(first, last):
        du = dus[chunk].reshape(-1)
        dbias = dbiases[chunk]
        _clear(du, 0, du.size)
        _clear(dbias, 0, F)
        for n in range(chunk * per_chunk, min((chunk + 1) * per_chunk, N)):
            if dx.size:
                _clear(dx, n * pixels, pixels)
            _add_bias_gradient(dy, y, n * outputs, outputs, dbias)
            for start in range(0, TH, block):
                a, b = n * TH + start, n * TH + min(start + block, TH)
                tiles = (b - a) * TW
                _transform_inputs(x, lines, v, space_v, a, b, shape)
                _transform_gradients(dy, y, winner, m, space_m, a, b, F, shape)
                for p in range(16):
                    v_p = v[p * space_v : p * space_v + tiles * C].reshape(tiles, C)
                    m_p = m[p * space_m : p * space_m + tiles * F].reshape(tiles, F)
                    np.dot(v_p.T, m_p, product)  # (C, tiles) @ (tiles, F)
                    _add(product.reshape(-1), 0, du, p * C * F, C * F)
                    if dx.size:
                        np.dot(m_p, u[p], v_p)  # (tiles, F) @ (F, C)
                if dx.size:
                    _transform_inputs_back(v, space_v, lines, dx, a, b, shape)


@jit
def _add_bias_gradient(dy: Any, y: Any, at: int, count: int, dbias: Any) -> None:
    """Sum dy over pixels, where ``y`` is positive if it is given."""
    filters = np.uint64(dbias.size)
    one, zero = dy.dtype.type(1), dy.dtype.type(0)
    for pixel in range(count // dbias.size):
        a = np.uint64(at + pixel * dbias.size)
        if y.size:
            for f in range(filters):
                dbias[f] += dy[a + f] * (one if y[a + f] > 0 else zero)
        else:
            for f in range(filters):
                dbias[f] += dy[a + f]
