"""The formulas (floor 1): pure functions on arrays, each forward directly above its backward.

Every forward returns ``(y, cache)``, every backward takes ``(dy, cache)``. Arrays of any library that follows
the array API standard will do, and the results are arrays of the same library, device and dtype.

Symbols, the same in every file:

========  ==========================================================
N         samples in the batch
H, W, D   height, width, depth of an image or volume (for ``dense``, D is the number of inputs)
C, F      channels of the input, channels (filters) of the output
KH, KW    height and width of a kernel or pooling window
OH, OW    height and width of the output
T         time steps of a sequence
U         units of a layer
K         classes
========  ==========================================================
"""

from tinymed.ops.dense import dense, dense_backward
from tinymed.ops.penalties import l1l2_penalty, l1l2_penalty_backward
from tinymed.ops.registry import REGISTRY, Operation, backward_of, op, textbook

__all__ = [
    "REGISTRY",
    "Operation",
    "backward_of",
    "dense",
    "dense_backward",
    "l1l2_penalty",
    "l1l2_penalty_backward",
    "op",
    "textbook",
]
