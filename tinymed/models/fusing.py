"""Neighbours in a graph that are computed as one operation: a convolution with ReLU, and the maximum behind it.

Nothing changes for the reader of a model: layers, nodes and gradients are the same. Where both layers do no more than
their formulas say, :func:`conv2d_relu_max_pool` takes both steps at the first node, and the second node hands on.
"""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array
from tinymed.layers.convolution import Conv2D
from tinymed.layers.pooling import MaxPooling2D
from tinymed.layers.symbolic import Node, SymbolicTensor
from tinymed.ops.fused import conv2d_relu_max_pool, conv2d_relu_max_pool_backward

_METHODS = ("forward", "backward", "convolve_relu", "convolve_relu_backward", "pool", "pool_backward")
_USUAL = {(cls, name): getattr(cls, name, None) for cls in (Conv2D, MaxPooling2D) for name in _METHODS}


class ConvolutionAndPool:
    """What stands for a convolution at its node when the next node is a pooling that nobody else precedes.

    Arguments:
        convolution: The layer that owns the weights.
        pool: The layer behind it.
    """

    def __init__(self, convolution: Conv2D, pool: MaxPooling2D) -> None:
        self.convolution, self.pool = convolution, pool

    def usual(self) -> bool:
        """Tell whether the two layers are what they were: no other activation, no method replaced."""
        if self.convolution.activation.name != "relu":
            return False
        replaced = any(name in vars(layer) for layer in (self.convolution, self.pool) for name in _METHODS)
        return not replaced and all(getattr(cls, name, None) is method for (cls, name), method in _USUAL.items())

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the pooled output, and what backward needs: of one operation, or of each layer."""
        layer, pool = self.convolution, self.pool
        if not self.usual():
            z, tape = layer.forward(x, training=training)
            y, pool_tape = pool.forward(z, training=training)
            return y, (tape, pool_tape)
        layer.prepare(x)
        y, cache = conv2d_relu_max_pool(
            x,
            layer.params["kernel"],
            layer.params.get("bias"),
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            groups=layer.groups,
            pool_size=pool.pool_size,
            pool_strides=pool.strides,
            pool_padding=pool.padding,
        )
        return y, (cache,)

    def backward(self, dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """Return dx and the gradients of the convolution's weights."""
        if len(cache) == 2:
            tape, pool_tape = cache
            dz, _ = self.pool.backward(dy, pool_tape)
            return self.convolution.backward(dz, tape, input_gradient=input_gradient)
        dx, dkernel, dbias = conv2d_relu_max_pool_backward(dy, cache[0], input_gradient=input_gradient)
        return dx, {"kernel": dkernel, "bias": dbias} if self.convolution.use_bias else {"kernel": dkernel}


class HandOn:
    """What stands for a layer whose work has been done before."""

    def forward(self, x: Array, training: bool = False) -> tuple[Array, None]:
        """Return ``x``."""
        return x, None

    def backward(self, dy: Array, cache: None, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return ``dy``."""
        return dy, {}


def work_at_nodes(nodes: list[Node], outputs: list[SymbolicTensor]) -> list[Any]:
    """Return what computes at each node: its layer, or at two neighbours what stands for them."""
    work: list[Any] = [node.layer for node in nodes]
    places = {id(node): place for place, node in enumerate(nodes)}
    for place, node in enumerate(nodes):
        before = node.inputs[0].producer
        if type(node.layer) is not MaxPooling2D or before is None or type(before.layer) is not Conv2D:
            continue
        between = before.outputs[0]
        users = [other for other in nodes if any(tensor is between for tensor in other.inputs)]
        if len(users) == 1 and id(before) in places and not any(tensor is between for tensor in outputs):
            work[places[id(before)]], work[place] = ConvolutionAndPool(before.layer, node.layer), HandOn()
    return work
