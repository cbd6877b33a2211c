"""Activations as layers of their own."""

from __future__ import annotations

import math
from typing import Any

from tinymed import activations, initializers, ops, regularizers
from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape


class Activation(Layer):
    r"""An activation: $y = f(x)$.

    Arguments:
        activation: Name of an activation, or an operation with a backward.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output: any shape.

    Source:
        D3 §4.2; D4 §3.1.3 with ``"softmax"``.
    """

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.pair(activation)

    def forward(self, x: Array, training: bool = False, logits: bool = False) -> tuple[Array, Any]:
        """Return ``f(x)``; with ``logits=True`` x itself."""
        self.prepare(x)
        return (x, None) if logits else self.activation.forward(x)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and no weights' gradients."""
        return (ops.linear_backward(dy, None) if cache is None else self.activation.backward(dy, cache)), {}


class Softmax(Layer):
    r"""Scores to probabilities that add up to one: $y_c = e^{x_c} / \sum_k e^{x_k}$.

    Arguments:
        axis: The axis, or a list of axes, along which the probabilities add up to one.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output: any shape.

    Source:
        D4 §3.1.3.
    """

    supports_masking = True

    def __init__(self, axis: int | list[int] | tuple[int, ...] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)
        if self.axis in (-1, [-1]):
            self.activation = activations.pair("softmax")  # so that a cross-entropy may be fused with it

    def forward(self, x: Array, training: bool = False, logits: bool = False) -> tuple[Array, Any]:
        """Return the probabilities; with ``logits=True`` x itself."""
        self.prepare(x)
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        return (x, None) if logits else ops.softmax(x, axis=axis)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and no weights' gradients."""
        return (ops.linear_backward(dy, None) if cache is None else ops.softmax_backward(dy, cache)), {}


class ReLU(Layer):
    r"""Keep what is positive: $y = \max(0, x)$, with a slope below, a limit above and a threshold if wanted.

    Arguments:
        max_value: Upper limit; None for no limit.
        negative_slope: Slope below the threshold.
        threshold: Value up to which the input is damped.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output: any shape.

    Source:
        D3 §4.2.
    """

    supports_masking = True

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (
            ("max_value", max_value or 0.0),
            ("negative_slope", negative_slope),
            ("threshold", threshold),
        ):
            if value is None or value < 0:
                raise ValueError(f"{self.name} needs a {name} of 0 or more but got {value}")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the rectified input."""
        self.prepare(x)
        return ops.relu(x, self.negative_slope, self.max_value, self.threshold)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and no weights' gradients."""
        return ops.relu_backward(dy, cache), {}


class LeakyReLU(Layer):
    r"""Keep what is positive, shrink what is negative: $y = \max(0, x) + a \min(0, x)$.

    Arguments:
        negative_slope: $a$.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``; ``alpha``, the older name of ``negative_slope``.

    Shapes:
        Input and output: any shape.

    Source:
        Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013.
    """

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"{self.name} needs a negative_slope of 0 or more but got {negative_slope}")
        self.negative_slope = negative_slope

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the input, negative values shrunk."""
        self.prepare(x)
        return ops.leaky_relu(x, self.negative_slope)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and no weights' gradients."""
        return ops.leaky_relu_backward(dy, cache), {}


class ELU(Layer):
    r"""Keep what is positive, let what is negative level off at $-\alpha$: $y = \alpha (e^x - 1)$ for $x \le 0$.

    Arguments:
        alpha: $\alpha$.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output: any shape.

    Source:
        Clevert, Unterthiner and Hochreiter, Fast and Accurate Deep Network Learning by ELUs, 2015.
    """

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the activated input."""
        self.prepare(x)
        return ops.elu(x, self.alpha)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and no weights' gradients."""
        return ops.elu_backward(dy, cache), {}


class PReLU(Layer):
    r"""A leaky ReLU whose slopes are learned: $y = \max(0, x) + \alpha \min(0, x)$.

    Arguments:
        alpha_initializer: How $\alpha$ starts.
        alpha_regularizer: Penalty on $\alpha$, or None.
        shared_axes: Axes (1 is the first after the batch) along which one slope serves all; ``[1, 2]`` gives an image
            one slope for each channel.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output: any shape; weights ``alpha``, the input's axes without the batch, 1 where shared.

    Source:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015.
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        *,
        shared_axes: int | list[int] | tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes and list(shared_axes)

    def build(self, input_shape: Shape) -> None:
        """Make ``alpha``."""
        shared = self.shared_axes or []
        if any(not 1 <= axis < len(input_shape) for axis in shared):
            raise ValueError(f"{self.name} has shared_axes={shared} but its input has the shape {input_shape}")
        shape = [1 if axis in shared else size for axis, size in enumerate(input_shape)][1:]
        if None in shape:
            raise ValueError(
                f"{self.name} needs one slope for each position, but the input's shape {input_shape} is not fixed; "
                f"set shared_axes={[i for i, size in enumerate(input_shape) if i and size is None]}"
            )
        self.add_weight(
            "alpha", tuple(int(size or 0) for size in shape), self.alpha_initializer, self.alpha_regularizer
        )

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the input, negative values shrunk by the slopes."""
        self.prepare(x)
        return ops.prelu(x, self.params["alpha"])

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and the gradient of ``alpha``."""
        dx, dalpha = ops.prelu_backward(dy, cache)
        return dx, {"alpha": dalpha}

    def flops(self, input_shape: Shape) -> int:
        """Return 2 for each value: a comparison and a product."""
        return 2 * math.prod(size or 0 for size in input_shape[1:])
