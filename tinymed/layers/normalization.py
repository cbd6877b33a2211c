"""Layers that normalise: over the batch, over each sample, over groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tinymed import initializers, regularizers
from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.ops.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_inference_backward,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
)


class _Normalization(Layer):
    """What the three have in common: a scale ``gamma`` and a shift ``beta`` over some axes of the input."""

    supports_masking = True

    def __init__(
        self,
        axis: Any,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"{self.name} needs epsilon, a small number above 0 such as 0.001, but got {epsilon!r}")
        self.axis = axis
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)

    def _weight_axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes that the weights have, counted from 0."""
        axes = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        if not all(-rank <= axis < rank and axis % rank for axis in axes):
            raise ValueError(
                f"{self.name} has axis={self.axis} but its input has {rank} axes; choose from 1 to {rank - 1} "
                "(axis 0 is the batch), or -1 for the channels"
            )
        return tuple(sorted(axis % rank for axis in axes))

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless an input of this shape has the axes that the weights were made for."""
        if len(shape) < 2:
            raise ValueError(
                f"{self.name} expects (N, ..., C) but got {tuple(shape)}: one axis is missing; "
                "add the batch axis of a single sample with x[np.newaxis]"
            )
        axes = self._weight_axes(len(shape))
        if self.built_shape is None:
            return
        built_shape = cast(Shape, self.built_shape)
        wanted = tuple(built_shape[axis] for axis in self._weight_axes(len(built_shape)))
        found = tuple(shape[axis] for axis in axes)
        if any(b is not None and a != b for a, b in zip(wanted, found, strict=True)):
            raise ValueError(
                f"{self.name} was built for inputs of shape {tuple(built_shape)} but got {tuple(shape)}: "
                f"axis {self.axis} has {_spell(found)} values instead of {_spell(wanted)}; channels must come last "
                "(np.moveaxis moves them), and a layer fits one number of channels only"
            )

    def build(self, input_shape: Shape) -> None:
        """Make ``gamma`` and ``beta``."""
        shape = []
        for axis in self._weight_axes(len(input_shape)):
            size = input_shape[axis]
            if size is None:
                raise ValueError(f"{self.name} needs to know the size of axis {axis} of its input, got {input_shape}")
            shape.append(size)
        if self.scale:
            self.add_weight("gamma", tuple(shape), self.gamma_initializer, self.gamma_regularizer)
        if self.center:
            self.add_weight("beta", tuple(shape), self.beta_initializer, self.beta_regularizer)

    def _gradients(self, dgamma: Array | None, dbeta: Array | None) -> dict[str, Array]:
        gradients = {"gamma": dgamma, "beta": dbeta}
        return {name: gradient for name, gradient in gradients.items() if gradient is not None}

    def flops(self, input_shape: Shape) -> int:
        """Return 8 per value: two means, two differences, a square, and three steps of scale and shift."""
        return 8 * super().flops(input_shape)


class BatchNormalization(_Normalization):
    r"""Normalises each channel over the batch, and at inference with moving averages of mean and variance.

    In training $y = \gamma \frac{x - \mu}{\sqrt{v + \epsilon}} + \beta$ with the batch's own $\mu$ and $v$, and the
    averages move: $\bar\mu \leftarrow \alpha \bar\mu + (1 - \alpha) \mu$, the same for $\bar v$. Inference uses
    $\bar\mu$ and $\bar v$. A layer with ``trainable=False`` works as in inference and leaves its averages alone.

    Arguments:
        axis: The axis of the channels.
        momentum: $\alpha$, how much of the old average stays at each step.
        epsilon: $\epsilon$, keeps the root away from zero.
        center: Whether there is a shift ``beta``.
        scale: Whether there is a scale ``gamma``.
        beta_initializer: How ``beta`` starts.
        gamma_initializer: How ``gamma`` starts.
        moving_mean_initializer: How the moving mean starts.
        moving_variance_initializer: How the moving variance starts.
        beta_regularizer: Penalty on ``beta``, or None.
        gamma_regularizer: Penalty on ``gamma``, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output ``(N, ..., C)``; weights ``gamma (C,)``, ``beta (C,)``, ``moving_mean (C,)``,
        ``moving_variance (C,)``.

    Source:
        D2 §8; Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )
        if not isinstance(axis, int):
            raise ValueError(f"{self.name} needs axis, one whole number, but got {axis!r}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"{self.name} needs a momentum from 0 to 1 but got {momentum!r}")
        self.momentum = float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Shape) -> None:
        """Make ``gamma`` and ``beta``, and the moving averages, which are state."""
        super().build(input_shape)
        channels = (input_shape[self.axis] or 0,)
        self.add_weight("moving_mean", channels, self.moving_mean_initializer, trainable=False)
        self.add_weight("moving_variance", channels, self.moving_variance_initializer, trainable=False)

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` normalised; in training also move the averages."""
        self.prepare(x)
        weights = self.params.get("gamma"), self.params.get("beta")
        mean, variance = self.state["moving_mean"], self.state["moving_variance"]
        if not (training and self.trainable):
            y, tape = batch_norm_inference(x, *weights, mean, variance, axis=self.axis, epsilon=self.epsilon)
            return y, (False, tape)
        y, tape = batch_norm(x, *weights, axis=self.axis, epsilon=self.epsilon)
        self.state["moving_mean"] = self.momentum * mean + (1 - self.momentum) * tape.mean
        self.state["moving_variance"] = self.momentum * variance + (1 - self.momentum) * tape.variance
        return y, (True, tape)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and the gradients of ``gamma`` and ``beta``."""
        of_batch, tape = cache
        step = batch_norm_backward if of_batch else batch_norm_inference_backward
        dx, dgamma, dbeta = step(dy, tape)
        return dx, self._gradients(dgamma, dbeta)


class LayerNormalization(_Normalization):
    r"""Normalises each sample over its features, alike in training and inference.

    Arguments:
        axis: The axis or axes that the mean runs over and that the weights have.
        epsilon: Keeps the root away from zero.
        center: Whether there is a shift ``beta``.
        scale: Whether there is a scale ``gamma``.
        beta_initializer: How ``beta`` starts.
        gamma_initializer: How ``gamma`` starts.
        beta_regularizer: Penalty on ``beta``, or None.
        gamma_regularizer: Penalty on ``gamma``, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output ``(N, ..., D)``; weights ``gamma (D,)``, ``beta (D,)``.

    Source:
        Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` normalised."""
        self.prepare(x)
        axes = self._weight_axes(x.ndim)
        return layer_norm(x, self.params.get("gamma"), self.params.get("beta"), axis=axes, epsilon=self.epsilon)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and the gradients of ``gamma`` and ``beta``."""
        dx, dgamma, dbeta = layer_norm_backward(dy, cache)
        return dx, self._gradients(dgamma, dbeta)


class GroupNormalization(_Normalization):
    r"""Normalises each sample over its pixels and a group of its channels: for batches too small for a batch's mean.

    Arguments:
        groups: Number of groups, a divisor of the number of channels; -1 makes each channel a group.
        axis: The axis of the channels; only the last one.
        epsilon: Keeps the root away from zero.
        center: Whether there is a shift ``beta``.
        scale: Whether there is a scale ``gamma``.
        beta_initializer: How ``beta`` starts.
        gamma_initializer: How ``gamma`` starts.
        beta_regularizer: Penalty on ``beta``, or None.
        gamma_regularizer: Penalty on ``gamma``, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output ``(N, ..., C)``; weights ``gamma (C,)``, ``beta (C,)``.

    Source:
        Wu and He 2018, arXiv:1803.08494.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(f"{self.name} needs groups, a positive whole number or -1, but got {groups!r}")
        self.groups = groups

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless the channels come last and make equal groups."""
        super().check_shape(shape)
        if self._weight_axes(len(shape)) != (len(shape) - 1,):
            raise ValueError(
                f"{self.name} groups the last axis only but got axis={self.axis}; move the channels last with "
                "np.moveaxis and leave axis out"
            )
        if shape[-1] is not None and shape[-1] % self._groups(shape):
            raise ValueError(
                f"{self.name} cannot make {self.groups} equal groups of the {shape[-1]} channels of an input of shape "
                f"{tuple(shape)}; choose groups that divide {shape[-1]}"
            )

    def _groups(self, shape: Shape) -> int:
        return (shape[-1] or 1) if self.groups == -1 else self.groups

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` normalised."""
        self.prepare(x)
        groups = self._groups(x.shape)
        return group_norm(x, self.params.get("gamma"), self.params.get("beta"), groups=groups, epsilon=self.epsilon)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx and the gradients of ``gamma`` and ``beta``."""
        dx, dgamma, dbeta = group_norm_backward(dy, cache)
        return dx, self._gradients(dgamma, dbeta)


def _spell(sizes: tuple[int | None, ...]) -> str:
    return str(sizes[0]) if len(sizes) == 1 else str(sizes)
