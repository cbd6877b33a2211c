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

from tinymed.ops.activations import (
    hard_sigmoid,
    hard_sigmoid_backward,
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    prelu,
    prelu_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
)
from tinymed.ops.activations_smooth import (
    elu,
    elu_backward,
    exponential,
    exponential_backward,
    gelu,
    gelu_backward,
    mish,
    mish_backward,
    selu,
    selu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    softsign,
    softsign_backward,
    tanh,
    tanh_backward,
)
from tinymed.ops.clipping import clip_by_global_norm, clip_by_norm, clip_by_value, global_norm
from tinymed.ops.convolution import conv1d, conv1d_backward, conv2d, conv2d_backward, conv3d, conv3d_backward
from tinymed.ops.dense import dense, dense_backward
from tinymed.ops.global_pooling import (
    global_average_pool,
    global_average_pool_backward,
    global_max_pool,
    global_max_pool_backward,
)
from tinymed.ops.penalties import l1l2_penalty, l1l2_penalty_backward
from tinymed.ops.pooling import (
    average_pool1d,
    average_pool1d_backward,
    average_pool2d,
    average_pool2d_backward,
    average_pool3d,
    average_pool3d_backward,
    max_pool1d,
    max_pool1d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool3d,
    max_pool3d_backward,
)
from tinymed.ops.registry import REGISTRY, UPDATES, Operation, backward_of, op, textbook, update
from tinymed.ops.resizing import (
    upsampling_bilinear,
    upsampling_bilinear_backward,
    upsampling_nearest,
    upsampling_nearest_backward,
)
from tinymed.ops.shaping import (
    cropping,
    cropping_backward,
    flatten,
    flatten_backward,
    permute,
    permute_backward,
    repeat_vector,
    repeat_vector_backward,
    reshape,
    reshape_backward,
    zero_padding,
    zero_padding_backward,
)
from tinymed.ops.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from tinymed.ops.special import erf, erf_backward
from tinymed.ops.transposed import conv2d_transpose, conv2d_transpose_backward
from tinymed.ops.updates import adagrad_update, adam_update, rmsprop_update, sgd_update
from tinymed.ops.windows import im2col, im2col_backward

__all__ = [
    "REGISTRY",
    "UPDATES",
    "Operation",
    "adagrad_update",
    "adam_update",
    "average_pool1d",
    "average_pool1d_backward",
    "average_pool2d",
    "average_pool2d_backward",
    "average_pool3d",
    "average_pool3d_backward",
    "backward_of",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "conv3d",
    "conv3d_backward",
    "cropping",
    "cropping_backward",
    "dense",
    "dense_backward",
    "elu",
    "elu_backward",
    "erf",
    "erf_backward",
    "exponential",
    "exponential_backward",
    "flatten",
    "flatten_backward",
    "gelu",
    "gelu_backward",
    "global_average_pool",
    "global_average_pool_backward",
    "global_max_pool",
    "global_max_pool_backward",
    "global_norm",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "im2col",
    "im2col_backward",
    "l1l2_penalty",
    "l1l2_penalty_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "mish",
    "mish_backward",
    "op",
    "permute",
    "permute_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "repeat_vector",
    "repeat_vector_backward",
    "reshape",
    "reshape_backward",
    "rmsprop_update",
    "selu",
    "selu_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "softsign",
    "softsign_backward",
    "tanh",
    "tanh_backward",
    "textbook",
    "update",
    "upsampling_bilinear",
    "upsampling_bilinear_backward",
    "upsampling_nearest",
    "upsampling_nearest_backward",
    "zero_padding",
    "zero_padding_backward",
]
