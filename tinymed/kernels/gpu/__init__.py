"""CUDA bodies of the operations, for CuPy arrays. Importing this package registers them; nothing compiles yet.

It needs neither a GPU nor CuPy: without CuPy there is nothing to register the bodies for, and :data:`BODIES` is what
the tests run through.
"""

import warnings

from tinymed.kernels.gpu import (
    activations,
    columns,
    convolution,
    dense,
    drivers,
    fused,
    launching,
    lookup,
    losses,
    normalization,
    pooling,
    products,
    random,
    reading,
    recurrent,
    regression,
    sums,
    updates,
)
from tinymed.kernels.gpu.launching import BODIES

__all__ = [
    "BODIES",
    "activations",
    "columns",
    "convolution",
    "dense",
    "drivers",
    "fused",
    "launching",
    "lookup",
    "losses",
    "normalization",
    "pooling",
    "products",
    "random",
    "reading",
    "recurrent",
    "regression",
    "sums",
    "updates",
]


def _register() -> None:
    try:
        with warnings.catch_warnings():  # CuPy may miss a toolkit that nothing here needs
            warnings.simplefilter("ignore")
            import cupy
    except ImportError:
        return
    for operation, body in BODIES:
        operation.register(cupy.ndarray)(body)


_register()
