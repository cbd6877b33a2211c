"""Convolution layers: filters that slide over signals, images and volumes, and the transposed one that enlarges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinymed import activations, initializers, regularizers
from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.layers.shaping import channels_last
from tinymed.ops.convolution import (
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    conv3d,
    conv3d_backward,
)
from tinymed.ops.fused import conv2d_relu, conv2d_relu_backward
from tinymed.ops.transposed import check_output_padding, conv2d_transpose, conv2d_transpose_backward, transposed_size
from tinymed.ops.windows import count_windows, extent, per_axis


def check_padding(layer: Layer, padding: str, causal: bool = False) -> str:
    """Return the padding's name in lower case, or raise ValueError for an unknown one."""
    allowed = ("valid", "same", "causal") if causal else ("valid", "same")
    if not isinstance(padding, str) or padding.lower() not in allowed:
        hint = "; 'causal' is for Conv1D" if padding == "causal" else ""
        names = " or ".join(map(repr, allowed))
        raise ValueError(f"{layer.name} knows padding {names} but got {padding!r}{hint}")
    return padding.lower()


def check_windows(
    layer: Layer, shape: Shape, window: tuple[int, ...], dilation: tuple[int, ...], padding: str, argument: str
) -> None:
    """Raise ValueError if a window is larger than an image of this shape and nothing is padded."""
    if padding != "valid":
        return
    for axis, (size, k, d) in enumerate(zip(shape[1:-1], window, dilation, strict=True), start=1):
        if size is not None and size < extent(k, d):
            spread = f" (spread over {extent(k, d)} by dilation_rate={d})" if d > 1 else ""
            raise ValueError(
                f"{layer.name} has {argument}={window}, but axis {axis} ({layer.axes[axis]}) of its input "
                f"{tuple(shape)} is only {size} long and the window needs {k}{spread}; "
                "use padding='same', a smaller window, or fewer pooling layers before it"
            )


class _Convolution(Layer):
    """What convolutions of one, two and three axes share: arguments, weights, forward and backward."""

    convolve: Callable[..., Any]
    convolve_backward: Callable[..., Any]
    convolve_relu: Callable[..., Any] | None = None
    convolve_relu_backward: Callable[..., Any] | None = None
    """The same with a ReLU behind it, where one operation does both."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        rank = len(self.axes) - 2
        for what, value in (("filters", filters), ("groups", groups)):
            if int(value) != value or value < 1:
                raise ValueError(f"{self.name} needs {what}, a positive whole number, but got {value!r}")
        if filters % groups:
            raise ValueError(f"{self.name} cannot divide filters={filters} into groups={groups} of equal size")
        self.filters = int(filters)
        self.kernel_size = per_axis(kernel_size, rank, f"{self.name}: kernel_size")
        self.strides = per_axis(strides, rank, f"{self.name}: strides")
        self.padding = check_padding(self, padding, causal=rank == 1)
        self.data_format = channels_last(self, data_format)
        self.dilation_rate = per_axis(dilation_rate, rank, f"{self.name}: dilation_rate")
        self.groups = int(groups)
        self.activation = activations.pair(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless the axes and channels fit and the kernel fits into the image."""
        super().check_shape(shape)
        check_windows(self, shape, self.kernel_size, self.dilation_rate, self.padding, "kernel_size")
        if shape[-1] is not None and shape[-1] % self.groups:
            raise ValueError(f"{self.name} cannot divide {shape[-1]} input channels into groups={self.groups}")

    def build(self, input_shape: Shape) -> None:
        """Make ``kernel`` (KH, KW, C/G, F) and ``bias`` (F,)."""
        if input_shape[-1] is None:
            raise ValueError(f"{self.name} needs to know the number of its input's channels, got {input_shape}")
        kernel_shape = (*self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.add_weight("kernel", kernel_shape, self.kernel_initializer, self.kernel_regularizer)
        if self.use_bias:
            self.add_weight("bias", (self.filters,), self.bias_initializer, self.bias_regularizer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, OH, OW, F)."""
        self.check_shape(input_shape)
        axes = zip(input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True)
        sizes = (None if size is None else count_windows(size, k, s, d, self.padding) for size, k, s, d in axes)
        return (input_shape[0], *sizes, self.filters)

    def forward(self, x: Array, training: bool = False, logits: bool = False) -> tuple[Array, Any]:
        """Return the activated responses of the filters; with ``logits=True`` those before the activation."""
        self.prepare(x)
        with_relu = type(self).convolve_relu if self.activation.name == "relu" and not logits else None
        z, tape = (with_relu or type(self).convolve)(
            x,
            self.params["kernel"],
            self.params.get("bias"),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
        )
        y, activation_tape = self._activate(z, logits or with_relu is not None)
        return y, (tape, activation_tape, with_relu is not None)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """Return dx and the gradients of ``kernel`` and ``bias``."""
        tape, activation_tape, with_relu = cache
        dz = self._activate_backward(dy, activation_tape)
        backward: Any = type(self).convolve_relu_backward if with_relu else type(self).convolve_backward
        dx, dkernel, dbias = backward(dz, tape, input_gradient=input_gradient)
        return dx, {"kernel": dkernel, "bias": dbias} if self.use_bias else {"kernel": dkernel}

    def flops(self, input_shape: Shape) -> int:
        """Return 2 KH KW C/G for each output value (a multiplication and an addition per weight)."""
        outputs = math.prod(size or 0 for size in self.compute_output_shape(input_shape)[1:])
        return 2 * outputs * math.prod(self.kernel_size) * (input_shape[-1] or 0) // self.groups


class Conv1D(_Convolution):
    """Slides filters over signals or sequences (N, T, C).

    Arguments:
        filters: Number of filters F, the channels of the output.
        kernel_size: Length K of each filter.
        strides: Step from window to window.
        padding: ``"valid"``, ``"same"``, or ``"causal"`` (no output sees a later input).
        data_format: ``"channels_last"`` only.
        dilation_rate: Distance between the samples that neighbouring weights see.
        groups: Cuts the channels into groups, each with its own filters.
        activation: Name of an activation, or None.
        use_bias: Whether each filter has a bias.
        kernel_initializer: How the filters are drawn.
        bias_initializer: How the biases start.
        kernel_regularizer: Penalty on the filters, or None.
        bias_regularizer: Penalty on the biases, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T, C)``, output ``(N, OT, F)``; weights ``kernel (K, C/G, F)``, ``bias (F,)``.
    """

    axes = ("N", "T", "C")
    convolve = conv1d
    convolve_backward = conv1d_backward


class Conv2D(_Convolution):
    """Slides filters over images (N, H, W, C).

    Arguments:
        filters: Number of filters F, the channels of the output.
        kernel_size: Size of each filter: one number, or (KH, KW).
        strides: Step from window to window: one number, or (rows, columns).
        padding: ``"valid"`` (whole windows only) or ``"same"`` (zeros around: OH = ceil(H / stride)).
        data_format: ``"channels_last"`` only.
        dilation_rate: Distance between the pixels that neighbouring weights see.
        groups: Cuts the channels into groups, each with its own filters.
        activation: Name of an activation, or None.
        use_bias: Whether each filter has a bias.
        kernel_initializer: How the filters are drawn.
        bias_initializer: How the biases start.
        kernel_regularizer: Penalty on the filters, or None.
        bias_regularizer: Penalty on the biases, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, H, W, C)``, output ``(N, OH, OW, F)``; weights ``kernel (KH, KW, C/G, F)``, ``bias (F,)``.

    Source:
        D1 §3.1.1, D3 §4.1, D4 §3.1.1; used in D0 §5, D2 §4, D3 §5.1, D4 §4.1.
    """

    axes = ("N", "H", "W", "C")
    convolve = conv2d
    convolve_backward = conv2d_backward
    convolve_relu = conv2d_relu
    convolve_relu_backward = conv2d_relu_backward


class Conv3D(_Convolution):
    """Slides filters over volumes (N, D, H, W, C), such as CT scans.

    Arguments:
        filters: Number of filters F, the channels of the output.
        kernel_size: Size of each filter: one number, or (KD, KH, KW).
        strides: Step from window to window: one number, or three.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` only.
        dilation_rate: Distance between the voxels that neighbouring weights see.
        groups: Cuts the channels into groups, each with its own filters.
        activation: Name of an activation, or None.
        use_bias: Whether each filter has a bias.
        kernel_initializer: How the filters are drawn.
        bias_initializer: How the biases start.
        kernel_regularizer: Penalty on the filters, or None.
        bias_regularizer: Penalty on the biases, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, D, H, W, C)``, output ``(N, OD, OH, OW, F)``; weights ``kernel (KD, KH, KW, C/G, F)``,
        ``bias (F,)``.
    """

    axes = ("N", "D", "H", "W", "C")
    convolve = conv3d
    convolve_backward = conv3d_backward


class Conv2DTranspose(Layer):
    """Prints filters onto a larger image, once per input pixel: the way back through a :class:`Conv2D`.

    Arguments:
        filters: Number of filters F, the channels of the output.
        kernel_size: Size of each filter: one number, or (KH, KW).
        strides: Step on the output from one input pixel to the next.
        padding: ``"valid"`` (the whole print) or ``"same"`` (cut to H * stride).
        output_padding: Rows and columns added to the smallest output, less than the strides; None for the usual size.
        data_format: ``"channels_last"`` only.
        dilation_rate: Distance between neighbouring weights on the output.
        activation: Name of an activation, or None.
        use_bias: Whether each filter has a bias.
        kernel_initializer: How the filters are drawn.
        bias_initializer: How the biases start.
        kernel_regularizer: Penalty on the filters, or None.
        bias_regularizer: Penalty on the biases, or None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, H, W, C)``, output ``(N, OH, OW, F)``; weights ``kernel (KH, KW, F, C)``, ``bias (F,)``.
    """

    axes = ("N", "H", "W", "C")

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = (1, 1),
        padding: str = "valid",
        output_padding: int | tuple[int, ...] | None = None,
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if int(filters) != filters or filters < 1:
            raise ValueError(f"{self.name} needs filters, a positive whole number, but got {filters!r}")
        self.filters = int(filters)
        self.kernel_size = per_axis(kernel_size, 2, f"{self.name}: kernel_size")
        self.strides = per_axis(strides, 2, f"{self.name}: strides")
        self.padding = check_padding(self, padding)
        try:
            self._extra = check_output_padding(output_padding, self.strides)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        self.output_padding = None if output_padding is None else self._extra
        self.data_format = channels_last(self, data_format)
        self.dilation_rate = per_axis(dilation_rate, 2, f"{self.name}: dilation_rate")
        self.activation = activations.pair(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def build(self, input_shape: Shape) -> None:
        """Make ``kernel`` (KH, KW, F, C) and ``bias`` (F,)."""
        if input_shape[-1] is None:
            raise ValueError(f"{self.name} needs to know the number of its input's channels, got {input_shape}")
        kernel_shape = (*self.kernel_size, self.filters, input_shape[-1])
        self.add_weight("kernel", kernel_shape, self.kernel_initializer, self.kernel_regularizer)
        if self.use_bias:
            self.add_weight("bias", (self.filters,), self.bias_initializer, self.bias_regularizer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, OH, OW, F)."""
        self.check_shape(input_shape)
        axes = zip(input_shape[1:-1], self.kernel_size, self.strides, self._extra, self.dilation_rate, strict=True)
        sizes = (None if n is None else transposed_size(n, k, s, self.padding, more, d) for n, k, s, more, d in axes)
        return (input_shape[0], *sizes, self.filters)

    def forward(self, x: Array, training: bool = False, logits: bool = False) -> tuple[Array, Any]:
        """Return the activated sum of the prints; with ``logits=True`` the sum before the activation."""
        self.prepare(x)
        z, tape = conv2d_transpose(
            x,
            self.params["kernel"],
            self.params.get("bias"),
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
        )
        y, activation_tape = self._activate(z, logits)
        return y, (tape, activation_tape)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """Return dx and the gradients of ``kernel`` and ``bias``."""
        tape, activation_tape = cache
        dz = self._activate_backward(dy, activation_tape)
        dx, dkernel, dbias = conv2d_transpose_backward(dz, tape, input_gradient=input_gradient)
        return dx, {"kernel": dkernel, "bias": dbias} if self.use_bias else {"kernel": dkernel}

    def flops(self, input_shape: Shape) -> int:
        """Return 2 KH KW F for each input value (a multiplication and an addition per weight)."""
        inputs = math.prod(size or 0 for size in input_shape[1:])
        return 2 * inputs * math.prod(self.kernel_size) * self.filters


Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
Convolution2DTranspose = Conv2DTranspose
