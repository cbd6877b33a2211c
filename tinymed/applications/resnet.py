"""A small residual network, built as a graph: each block learns what to add to what it is given (He et al. 2016).

A deep plain network trains badly because every layer must pass on what the later ones need. In a residual network a
*shortcut* carries the input of each block past it, and the block adds to that:

    y = relu(F(x) + x)                 F: convolution, normalisation, ReLU, convolution, normalisation

Where a block halves the picture and widens it, a convolution of 1 x 1 brings ``x`` to the new shape (projection).
The gradient runs through the same sum: unchanged along the shortcut, however deep the network is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed.layers import Activation, Add, BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input
from tinymed.models import Model


def build(
    shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 1,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    name: str = "resnet",
) -> Model:
    """Build a residual network for images.

    >>> build().count_params()
    77841
    >>> [layer.name for layer in build(widths=(8, 16)).layers if layer.name.endswith("relu")]
    ['stem_relu', 'stage1_block1_a_relu', 'stage1_block1_relu', 'stage2_block1_a_relu', 'stage2_block1_relu']

    Args:
        shape: Height, width and channels of an image.
        classes: 1 for one probability (sigmoid), more for one each (softmax).
        widths: Channels of each stage; every stage but the first halves the picture.
        blocks: Residual blocks in each stage; (2, 2, 2, 2) of 64 to 512 channels would be ResNet-18.
        name: Name of the network.

    Raises:
        ValueError: If there is no stage, no block or no class.

    Source:
        D2 §8; He, Zhang, Ren and Sun 2016, arXiv:1512.03385.
    """
    if not widths or blocks < 1 or classes < 1:
        raise ValueError(
            f"a residual network needs a stage, a block and a class at least, got {widths=}, {blocks=}, {classes=}"
        )
    image = Input(shape, name="image")
    x = _convolve(image, widths[0], 3, 1, "stem")
    x = Activation("relu", name="stem_relu")(x)
    for stage, width in enumerate(widths, start=1):
        for number in range(1, blocks + 1):
            x = block(x, width, 2 if stage > 1 and number == 1 else 1, f"stage{stage}_block{number}")
    x = GlobalAveragePooling2D(name="pool")(x)
    return Model(image, head(classes)(x), name=name)


def block(x: Any, width: int, stride: int, name: str) -> Any:
    """Add one residual block of two convolutions behind the symbolic tensor ``x``."""
    y = _convolve(x, width, 3, stride, f"{name}_a")
    y = Activation("relu", name=f"{name}_a_relu")(y)
    y = _convolve(y, width, 3, 1, f"{name}_b")
    if stride != 1 or x.shape[-1] != width:
        x = _convolve(x, width, 1, stride, f"{name}_shortcut")
    return Activation("relu", name=f"{name}_relu")(Add(name=f"{name}_sum")([y, x]))


def _convolve(x: Any, width: int, size: int, stride: int, name: str) -> Any:
    """Convolve and normalise; the normalisation's shift is the bias."""
    layer = Conv2D(
        width,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )
    return BatchNormalization(momentum=0.9, name=f"{name}_norm")(layer(x))


def head(classes: int, name: str = "head") -> Dense:
    """Return the last layer: the probability of the second of two classes, or one for each of several."""
    return Dense(classes, activation="sigmoid" if classes == 1 else "softmax", name=name)


def with_new_head(base: Model, classes: int = 1, name: str = "new_head") -> Model:
    """Return a model that shares all layers of ``base`` but the last, and has a new last layer.

    Args:
        base: A trained model that ends in a Dense layer.
        classes: As in :func:`build`.
        name: Name of the new layer.

    Raises:
        ValueError: If the name is taken by one of the layers that stay.
    """
    return Model(base.input, head(classes, name)(base.layers[-1].input), name=base.name)


def freeze(model: Model, but: Sequence[str] = ("head", "new_head")) -> None:
    """Keep all layers as they are in training, except those named; normalisation then uses its moving averages."""
    for layer in model.layers:
        layer.trainable = layer.name in but


def thaw(model: Model) -> None:
    """Let all layers learn again."""
    for layer in model.layers:
        layer.trainable = True
