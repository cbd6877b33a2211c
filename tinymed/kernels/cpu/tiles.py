"""The loops of convolution: columns of windows, and whole convolutions and their gradients a tile at a time.

A tile is as many windows as fit into a processor's own cache. Its columns are written, multiplied by the kernel and
given their bias before the next tile begins, so that the columns never travel through main memory. Each thread takes
its own tiles and multiplies with one BLAS thread. Backward makes the columns again.

All kernels count three axes (D, H, W); signals and images have axes of size 1 in front.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.kernels.cpu.compiling import jit

_1, _2, _3, _4, _5, _6, _7, _8 = (np.uint64(i) for i in range(1, 9))


@jit
def _copy(source: Any, a: int, target: Any, b: int, count: int) -> None:
    """Copy ``count`` values. Unsigned indices cannot be negative, which lets the compiler use vector instructions."""
    start, end = np.uint64(a), np.uint64(b)
    for t in range(np.uint64(count)):
        target[end + t] = source[start + t]


@jit
def _copy_eights(source: Any, a: int, target: Any, b: int, count: int) -> None:
    """Copy ``count`` values and up to 7 more: eight at a time, all of them read before the first is written.

    The compiler makes one vector of the eight without asking whether source and target overlap. For the short spans
    of windows this takes a fifth of the time.
    """
    s, t, stop = np.uint64(a), np.uint64(b), np.uint64(a + count)
    while s < stop:
        v0, v1, v2, v3 = source[s], source[s + _1], source[s + _2], source[s + _3]
        v4, v5, v6, v7 = source[s + _4], source[s + _5], source[s + _6], source[s + _7]
        target[t], target[t + _1], target[t + _2], target[t + _3] = v0, v1, v2, v3
        target[t + _4], target[t + _5], target[t + _6], target[t + _7] = v4, v5, v6, v7
        s += _8
        t += _8


@jit
def _add(source: Any, a: int, target: Any, b: int, count: int) -> None:
    start, end = np.uint64(a), np.uint64(b)
    for t in range(np.uint64(count)):
        target[end + t] += source[start + t]


@jit
def _clear(target: Any, b: int, count: int) -> None:
    end = np.uint64(b)
    for t in range(np.uint64(count)):
        target[end + t] = 0


@jit
def fill_columns(x: Any, columns: Any, first: int, last: int, shape: tuple[int, ...]) -> None:
    """Write windows ``first`` to ``last`` of the flat image ``x`` one after the other into the flat ``columns``."""
    D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C = shape
    span = KW * C
    ow = first % OW
    oh = first // OW % OH
    od = first // (OW * OH) % OD
    n = first // (OW * OH * OD)
    at = 0
    for _ in range(last - first):
        left = ow * sw - pw
        whole = gw == 1 and left >= 0 and left + KW <= W  # spans without gaps or edges
        top = oh * sh - ph
        source = ((n * D + od * sd - pd) * H + top) * W * C + left * C
        beyond = source + (KH - 1) * gh * W * C + span + 7  # where the last copy ends, rounded up
        inside = whole and KD == 1 and pd == 0 and top >= 0 and top + (KH - 1) * gh < H
        short = inside and beyond <= x.size and at + KH * span + 7 <= columns.size
        if short:
            for _ in range(KH):  # the usual case in short
                _copy_eights(x, source, columns, at, span)  # what is too much will be written over
                source += gh * W * C
                at += span
        for i in range(0 if short else KD):
            d = od * sd - pd + i * gd
            for j in range(KH):
                h = oh * sh - ph + j * gh
                line = ((n * D + d) * H + h) * W
                if d < 0 or d >= D or h < 0 or h >= H:
                    _clear(columns, at, span)
                elif whole:
                    _copy(x, (line + left) * C, columns, at, span)
                else:
                    for k in range(KW):
                        w = left + k * gw
                        if w < 0 or w >= W:
                            _clear(columns, at + k * C, C)
                        else:
                            _copy(x, (line + w) * C, columns, at + k * C, C)
                at += span
        ow += 1
        if ow == OW:
            ow = 0
            oh += 1
            if oh == OH:
                oh = 0
                od += 1
                if od == OD:
                    od = 0
                    n += 1


@jit
def im2col_rows(first: int, last: int, x: Any, columns: Any, shape: tuple[int, ...]) -> None:
    """Write windows ``first`` to ``last`` into the same rows of ``columns``."""
    fill_columns(x, columns[first:last].reshape(-1), first, last, shape)


@jit
def col2im_rows(first: int, last: int, columns: Any, dx: Any, shape: tuple[int, ...]) -> None:
    """Gather image rows ``first`` to ``last`` (N, D, H counted through): each sums what its windows hold of it."""
    D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C = shape
    span = KW * C
    size = KD * KH * span
    for row in range(first, last):
        h = row % H
        d = row // H % D
        n = row // (H * D)
        start = row * W * C
        _clear(dx, start, W * C)
        for i in range(KD):
            od = d + pd - i * gd
            if od < 0 or od % sd or od // sd >= OD:
                continue
            for j in range(KH):
                oh = h + ph - j * gh
                if oh < 0 or oh % sh or oh // sh >= OH:
                    continue
                at = ((n * OD + od // sd) * OH + oh // sh) * OW * size + (i * KH + j) * span
                for ow in range(OW):
                    left = ow * sw - pw
                    if gw == 1 and left >= 0 and left + KW <= W:
                        _add(columns, at, dx, start + left * C, span)
                    else:
                        for k in range(KW):
                            w = left + k * gw
                            if w >= 0 and w < W:
                                _add(columns, at + k * C, dx, start + w * C, C)
                    at += size


@jit
def convolve_tiles(
    first: int, last: int, x: Any, kernel: Any, bias: Any, relu: bool, y: Any, tile: int, shape: tuple[int, ...]
) -> None:
    """Convolve tiles ``first`` to ``last``: columns, matrix product, bias, and ReLU if asked for."""
    rows = y.shape[0]
    size = kernel.shape[0]
    buffer = np.empty(tile * size, x.dtype)
    for index in range(first, last):
        a = index * tile
        b = min(a + tile, rows)
        fill_columns(x, buffer, a, b, shape)
        columns = buffer[: (b - a) * size].reshape(b - a, size)
        out = y[a:b]
        np.dot(columns, kernel, out)  # (tile, KH*KW*C) @ (KH*KW*C, F)
        if bias.size:
            _add_bias(out, bias, relu)


@jit
def _add_bias(out: Any, bias: Any, relu: bool) -> None:
    filters = np.uint64(bias.size)
    zero = out.dtype.type(0)
    for r in range(out.shape[0]):
        row = out[r]
        if relu:
            for f in range(filters):
                z = row[f] + bias[f]
                row[f] = zero if z < 0 else z  # NaN stays NaN
        else:
            for f in range(filters):
                row[f] += bias[f]


@jit
def kernel_gradient_chunks(
    first: int,
    last: int,
    x: Any,
    dy: Any,
    y: Any,
    dkernels: Any,
    dbiases: Any,
    tile: int,
    tiles_per_chunk: int,
    shape: tuple[int, ...],
) -> None:
    """Sum the kernel's and the bias's gradient over chunks ``first`` to ``last`` of the tiles.

    If there is a ``y``, it came out of a ReLU: dy counts only where y is positive.
    """
    rows, filters = dy.shape
    size = dkernels.shape[1]
    buffer = np.empty(tile * size, x.dtype)
    masked = np.empty((tile, filters), x.dtype)
    product = np.empty((size, filters), x.dtype)
    for chunk in range(first, last):
        dkernel = dkernels[chunk]
        dbias = dbiases[chunk]
        dkernel[:] = 0
        dbias[:] = 0
        for index in range(chunk * tiles_per_chunk, (chunk + 1) * tiles_per_chunk):
            a = index * tile
            b = min(a + tile, rows)
            if a >= b:
                break
            fill_columns(x, buffer, a, b, shape)
            columns = buffer[: (b - a) * size].reshape(b - a, size)
            dz = dy[a:b]
            if y.size:
                dz = masked[: b - a]
                _mask(dy[a:b], y[a:b], dz)
            np.dot(columns.T, dz, product)  # (KH*KW*C, tile) @ (tile, F)
            _add_rows(product.reshape(1, -1), dkernel.reshape(-1))
            _add_rows(dz, dbias)


@jit
def _mask(dy: Any, y: Any, dz: Any) -> None:
    """Write ``dy * (y > 0)``, row by row."""
    filters = np.uint64(dy.shape[1])
    one, zero = dy.dtype.type(1), dy.dtype.type(0)
    for r in range(dy.shape[0]):
        upstream, result, masked = dy[r], y[r], dz[r]
        for f in range(filters):
            masked[f] = upstream[f] * (one if result[f] > 0 else zero)


@jit
def mask_rows(first: int, last: int, dy: Any, y: Any, dz: Any) -> None:
    """Write rows ``first`` to ``last`` of ``dy * (y > 0)``."""
    _mask(dy[first:last], y[first:last], dz[first:last])


@jit
def add_columns(columns: Any, dx: Any, first: int, last: int, shape: tuple[int, ...]) -> None:
    """Add the flat ``columns`` of windows ``first`` to ``last`` where :func:`fill_columns` read them."""
    D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C = shape
    span = KW * C
    at = 0
    for window in range(first, last):
        left = window % OW * sw - pw
        top = window // OW % OH * sh - ph
        front = window // (OW * OH) % OD * sd - pd
        n = window // (OW * OH * OD)
        whole = gw == 1 and left >= 0 and left + KW <= W
        for i in range(KD):
            d = front + i * gd
            for j in range(KH):
                h = top + j * gh
                if d >= 0 and d < D and h >= 0 and h < H:
                    line = ((n * D + d) * H + h) * W
                    if whole:
                        _add(columns, at, dx, (line + left) * C, span)
                    else:
                        for k in range(KW):
                            w = left + k * gw
                            if w >= 0 and w < W:
                                _add(columns, at + k * C, dx, (line + w) * C, C)
                at += span


@jit
def _pool(z: Any, bias: Any, y: Any, winner: Any, width: int) -> None:
    """Give convolved lines of ``width`` pixels bias and ReLU and keep the largest of each 2 x 2 pixels."""
    filters = np.uint64(z.shape[1])
    zero = z.dtype.type(0)
    across = width // 2
    for out in range(y.shape[0]):
        at = out // across * 2 * width + out % across * 2
        z0, z1, z2, z3 = z[at], z[at + 1], z[at + width], z[at + width + 1]
        best, which = y[out], winner[out]
        for f in range(filters):
            offset = bias[f]
            v0, v1, v2, v3 = z0[f] + offset, z1[f] + offset, z2[f] + offset, z3[f] + offset
            b = zero if v0 < 0 else v0  # NaN stays NaN
            v1 = zero if v1 < 0 else v1
            v2 = zero if v2 < 0 else v2
            v3 = zero if v3 < 0 else v3
            better = (v1 > b) | ((v1 != v1) & (b == b))  # a NaN wins, once
            b = v1 if better else b
            w = np.uint8(1) if better else np.uint8(0)
            better = (v2 > b) | ((v2 != v2) & (b == b))
            b = v2 if better else b
            w = np.uint8(2) if better else w
            better = (v3 > b) | ((v3 != v3) & (b == b))
            best[f] = v3 if better else b
            which[f] = np.uint8(3) if better else w


@jit
def _unpool(dy: Any, y: Any, winner: Any, dz: Any, width: int) -> None:
    """Take the way back through :func:`_pool`: of four pixels the winner receives ``dy * (y > 0)``."""
    filters = np.uint64(dz.shape[1])
    zero, one = dy.dtype.type(0), dy.dtype.type(1)
    across = width // 2
    for out in range(dy.shape[0]):
        at = out // across * 2 * width + out % across * 2
        upstream, best, which = dy[out], y[out], winner[out]
        for pixel, line in ((0, dz[at]), (1, dz[at + 1]), (2, dz[at + width]), (3, dz[at + width + 1])):
            for f in range(filters):
                v = upstream[f] * (one if best[f] > 0 else zero)
                line[f] = v if which[f] == pixel else zero


@jit
def convolve_and_pool_tiles(
    first: int,
    last: int,
    x: Any,
    kernel: Any,
    bias: Any,
    y: Any,
    winner: Any,
    lines: int,
    tile: int,
    shape: tuple[int, ...],
) -> None:
    """Make tiles ``first`` to ``last``, each of ``tile`` of the ``lines`` of pooled outputs (N, OH/2 counted through).

    A line takes two lines of the convolution: bias, ReLU and the maximum of 2 x 2 come while these are in the cache.
    """
    width = shape[-2]
    size, filters = kernel.shape
    buffer = np.empty(tile * 2 * width * size, x.dtype)
    z = np.empty((tile * 2 * width, filters), x.dtype)
    for index in range(first, last):
        a = index * tile
        b = min(a + tile, lines)
        count = (b - a) * 2 * width
        fill_columns(x, buffer, a * 2 * width, b * 2 * width, shape)
        np.dot(buffer[: count * size].reshape(count, size), kernel, z[:count])
        here = slice(a * (width // 2), b * (width // 2))
        _pool(z[:count], bias, y[here], winner[here], width)


@jit
def gradient_chunks(
    first: int,
    last: int,
    x: Any,
    turned: Any,
    dy: Any,
    y: Any,
    winner: Any,
    dx: Any,
    dkernels: Any,
    dbiases: Any,
    per_chunk: int,
    tile: int,
    shape: tuple[int, ...],
) -> None:
    """Make all gradients of chunks ``first`` to ``last``, each of ``per_chunk`` images, in one pass over the tiles.

    If there is a ``y``, it came out of a ReLU; if there is a ``winner``, a maximum of 2 x 2 was taken after it.
    ``turned`` is the kernel as (F, KH*KW*C); dx is made if it has any values. A chunk's sums of the kernel's and the
    bias's gradients are its own.
    """
    D, H, W, _, _, _, _, _, _, _, _, _, _, _, _, OD, OH, OW, C = shape
    filters, size = turned.shape
    fold = 2 if winner.size else 1  # lines of the convolution for one line of dy, and so with pixels
    lines = OD * OH // fold  # of one image
    pixels = D * H * W * C
    images = x.size // pixels
    buffer = np.empty(tile * fold * OW * size, x.dtype)
    dz_buffer = np.empty((tile * fold * OW, filters), x.dtype)
    product = np.empty((size, filters), x.dtype)
    for chunk in range(first, last):
        dkernel = dkernels[chunk]
        dbias = dbiases[chunk]
        dkernel[:] = 0
        dbias[:] = 0
        for n in range(chunk * per_chunk, min((chunk + 1) * per_chunk, images)):
            if dx.size:
                _clear(dx, n * pixels, pixels)
            for start in range(0, lines, tile):
                a = n * lines + start
                b = n * lines + min(start + tile, lines)
                count = (b - a) * fold * OW
                here = slice(a * (OW // fold), b * (OW // fold))
                dz = dz_buffer[:count]
                if winner.size:
                    _unpool(dy[here], y[here], winner[here], dz, OW)
                    _add_masked(dy[here], y[here], dbias)
                elif y.size:
                    _mask(dy[here], y[here], dz)
                    _add_masked(dy[here], y[here], dbias)
                else:
                    dz = dy[here]
                    _add_rows(dz, dbias)
                columns = buffer[: count * size].reshape(count, size)
                fill_columns(x, buffer, a * fold * OW, b * fold * OW, shape)
                np.dot(columns.T, dz, product)  # (KH*KW*C, tile) @ (tile, F)
                _add_rows(product.reshape(1, -1), dkernel.reshape(-1))
                if dx.size:
                    np.dot(dz, turned, columns)  # (tile, F) @ (F, KH*KW*C)
                    add_columns(buffer, dx, a * fold * OW, b * fold * OW, shape)


@jit
def _add_rows(rows: Any, total: Any) -> None:
    columns = np.uint64(rows.shape[1])
    for r in range(rows.shape[0]):
        row = rows[r]
        for f in range(columns):
            total[f] += row[f]


@jit
def _add_masked(dy: Any, y: Any, total: Any) -> None:
    """Add the rows of ``dy * (y > 0)`` to ``total``."""
    columns = np.uint64(dy.shape[1])
    one, zero = dy.dtype.type(1), dy.dtype.type(0)
    for r in range(dy.shape[0]):
        upstream, result = dy[r], y[r]
        for f in range(columns):
            total[f] += upstream[f] * (one if result[f] > 0 else zero)
