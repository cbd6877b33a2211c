"""The embedding's backward for NumPy arrays: each gradient is added to its row, in order."""

from __future__ import annotations

import numpy as np

from tinymed.ops.embedding import embedding_backward


@embedding_backward.register(np.ndarray)
def _embedding_backward(dy: np.ndarray, cache: tuple) -> np.ndarray:
    ids, size = cache
    dtable = np.zeros((size, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, ids, dy.reshape(len(ids), dy.shape[-1]))
    return dtable
