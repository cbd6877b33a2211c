"""The layers' configurations that are compared with Keras: a new layer is a new row here.

A row says how the layer is built and the shape of its input (a list of shapes for several inputs).
"""

from dataclasses import dataclass
from typing import Any

from tests.peers.compare import Row


@dataclass(frozen=True)
class LayerRow(Row):
    """One configuration of a layer."""

    shape: Any = ()
    training: bool = False
    integers: int = 0
    """Draw the input as whole numbers below this instead of normally distributed values."""
    frozen: bool = False
    """Set ``trainable=False`` in both."""

    __str__ = Row.__str__


def row(cls, shape, training=False, integers=0, frozen=False, label="", **kwargs):
    notes = [label, str(shape), *(["training"] if training else []), *(["frozen"] if frozen else [])]
    spelled = [f"{key}={value}" for key, value in kwargs.items()]
    return LayerRow(cls, kwargs, ",".join(filter(None, [*spelled, *notes])), shape, training, integers, frozen)


SEQUENCE, IMAGE, VOLUME = (2, 9, 3), (2, 8, 7, 3), (2, 5, 6, 4, 3)
ACTIVATIONS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
)  # fmt: skip

DENSE = [
    row("Dense", (5, 4), units=3),
    row("Dense", (2, 3, 4), units=5, use_bias=False, activation="tanh"),
    *(row("Dense", (6, 4), units=5, activation=name) for name in ACTIVATIONS),
]

CONVOLUTION = [
    row("Conv1D", SEQUENCE, filters=4, kernel_size=3),
    row("Conv1D", SEQUENCE, filters=4, kernel_size=3, padding="same", strides=2),
    row("Conv1D", SEQUENCE, filters=4, kernel_size=4, padding="same", activation="relu"),
    row("Conv1D", SEQUENCE, filters=4, kernel_size=3, padding="causal"),
    row("Conv1D", SEQUENCE, filters=4, kernel_size=2, padding="causal", dilation_rate=3),
    row("Conv1D", SEQUENCE, filters=4, kernel_size=3, padding="causal", strides=2),
    row("Conv1D", SEQUENCE, filters=4, kernel_size=3, dilation_rate=2),
    row("Conv2D", IMAGE, filters=4, kernel_size=3),
    row("Conv2D", IMAGE, filters=4, kernel_size=(2, 3), strides=(2, 1), activation="relu"),
    row("Conv2D", IMAGE, filters=4, kernel_size=3, padding="same", strides=2),
    row("Conv2D", IMAGE, filters=4, kernel_size=(4, 2), padding="same", use_bias=False),
    row("Conv2D", IMAGE, filters=4, kernel_size=2, padding="same", strides=3),
    row("Conv2D", IMAGE, filters=4, kernel_size=3, dilation_rate=2),
    row("Conv2D", IMAGE, filters=4, kernel_size=3, dilation_rate=(1, 2), padding="same"),
    row("Conv2D", IMAGE, filters=6, kernel_size=1),
    row("Conv2D", (1, 3, 3, 1), filters=1, kernel_size=3),
    row("Conv2D", (2, 8, 8, 3), filters=5, kernel_size=3, strides=1, padding="same", activation="sigmoid"),
    row("Conv2D", (2, 6, 6, 4), filters=6, kernel_size=3, groups=2),
    row("Conv3D", VOLUME, filters=4, kernel_size=2),
    row("Conv3D", VOLUME, filters=4, kernel_size=(3, 2, 1), padding="same", strides=(2, 1, 2)),
    row("Conv3D", VOLUME, filters=2, kernel_size=2, dilation_rate=2),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=3),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=3, strides=2, activation="tanh"),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=3, strides=2, padding="same"),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=4, strides=2, padding="same", use_bias=False),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=(2, 5), strides=(3, 2)),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=2, strides=3, padding="same"),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=3, strides=2, padding="same", output_padding=1),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=3, strides=2, output_padding=1),
    row("Conv2DTranspose", IMAGE, filters=4, kernel_size=5, strides=1, padding="same"),
]

POOLING = [
    configured
    for kind in ("Max", "Average")
    for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
    for configured in (
        row(f"{kind}Pooling{rank}D", shape, **({} if kind == "Max" else {"pool_size": 2})),
        row(f"{kind}Pooling{rank}D", shape, pool_size=3, strides=2, padding="same"),
        row(f"{kind}Pooling{rank}D", shape, pool_size=2, strides=1),
        row(f"{kind}Pooling{rank}D", shape, pool_size=2, padding="same"),
        row(f"{kind}Pooling{rank}D", shape, pool_size=2, strides=3),
        row(f"Global{kind}Pooling{rank}D", shape),
        row(f"Global{kind}Pooling{rank}D", shape, keepdims=True),
    )
] + [
    row("MaxPooling2D", IMAGE, pool_size=(3, 2), strides=(1, 2), padding="same"),
    row("AveragePooling2D", IMAGE, pool_size=(3, 2), strides=(1, 2), padding="same"),
]

SHAPING = [
    row("Flatten", (2, 3, 4, 2)),
    row("Flatten", (3, 5)),
    row("Flatten", (3,)),
    row("Reshape", (2, 3, 4), target_shape=(6, 2)),
    row("Reshape", (2, 3, 4), target_shape=(2, -1)),
    row("Permute", (2, 3, 4, 5), dims=(3, 1, 2)),
    row("RepeatVector", (2, 3), n=4),
    row("ZeroPadding1D", SEQUENCE),
    row("ZeroPadding1D", SEQUENCE, padding=(2, 1)),
    row("ZeroPadding2D", IMAGE),
    row("ZeroPadding2D", IMAGE, padding=(2, 1)),
    row("ZeroPadding2D", IMAGE, padding=((1, 2), (0, 3))),
    row("ZeroPadding3D", VOLUME, padding=(1, 2, 0)),
    row("ZeroPadding3D", VOLUME),
    row("Cropping1D", SEQUENCE),
    row("Cropping1D", SEQUENCE, cropping=(2, 1)),
    row("Cropping2D", IMAGE),
    row("Cropping2D", IMAGE, cropping=((1, 2), (0, 3))),
    row("Cropping3D", VOLUME, cropping=(1, 2, 0)),
    row("Cropping3D", VOLUME),
    row("UpSampling1D", SEQUENCE),
    row("UpSampling1D", SEQUENCE, size=3),
    row("UpSampling2D", IMAGE),
    row("UpSampling2D", IMAGE, size=(3, 2)),
    row("UpSampling2D", IMAGE, size=(2, 3), interpolation="bilinear"),
    row("UpSampling2D", (1, 1, 5, 2), size=2, interpolation="bilinear"),
    row("UpSampling3D", VOLUME),
    row("UpSampling3D", VOLUME, size=(1, 2, 3)),
]

TWO, THREE = [(2, 3, 4)] * 2, [(2, 3, 4)] * 3
MERGING = [
    *(row(name, shapes) for name in ("Add", "Average", "Maximum", "Minimum", "Multiply") for shapes in (TWO, THREE)),
    *(row(name, [(2, 3, 4), (2, 1, 4)]) for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")),
    row("Subtract", TWO),
    row("Concatenate", TWO),
    row("Concatenate", [(2, 3, 4), (2, 3, 1), (2, 3, 2)]),
    row("Concatenate", [(2, 3, 4), (2, 5, 4)], axis=1),
    row("Concatenate", [(2, 3, 4), (2, 5, 4)], axis=-2),
]

NORMALIZATION = [
    *(
        row("BatchNormalization", shape, training=training, **extra)
        for training in (True, False)
        for shape, extra in (
            ((6, 4), {}),
            ((6, 4), {"momentum": 0.9, "epsilon": 0.1}),
            ((3, 4, 5, 2), {}),
            ((3, 4, 5, 2), {"scale": False}),
            ((3, 4, 5, 2), {"center": False}),
            ((3, 4, 5, 2), {"center": False, "scale": False}),
            ((3, 7, 2), {}),
        )
    ),
    row("BatchNormalization", (3, 4, 5, 2), training=True, axis=2),
    row("BatchNormalization", (6, 4), training=True, frozen=True),
    row("LayerNormalization", (6, 4)),
    row("LayerNormalization", (3, 4, 5)),
    row("LayerNormalization", (3, 4, 5), axis=[1, 2], epsilon=0.1),
    row("LayerNormalization", (3, 4, 5), axis=1),
    row("LayerNormalization", (3, 4, 5), scale=False),
    row("LayerNormalization", (3, 4, 5), center=False),
    row("GroupNormalization", (3, 4, 5, 6), groups=2),
    row("GroupNormalization", (3, 4, 5, 6), groups=6),
    row("GroupNormalization", (3, 4, 5, 6), groups=-1),
    row("GroupNormalization", (3, 7, 6), groups=1, epsilon=0.1, center=False),
    row("GroupNormalization", (3, 64)),
    row("GroupNormalization", (3, 4, 6), groups=3, scale=False),
]

ACTIVATION = [
    *(row("Activation", (3, 4, 5), activation=name) for name in ACTIVATIONS),
    row("ReLU", IMAGE),
    row("ReLU", IMAGE, max_value=0.8, negative_slope=0.1, threshold=0.2),
    row("ReLU", IMAGE, threshold=0.5),
    row("LeakyReLU", IMAGE),
    row("LeakyReLU", IMAGE, negative_slope=0.05),
    row("ELU", IMAGE),
    row("ELU", IMAGE, alpha=0.5),
    row("Softmax", IMAGE),
    row("Softmax", IMAGE, axis=1),
    row("PReLU", IMAGE),
    row("PReLU", IMAGE, shared_axes=[1, 2]),
    row("PReLU", (4, 5)),
]

# Without noise these are equal number by number; the noise itself is compared in test_noise.py.
NOISE = [
    *(
        row(cls, shape, **argument)
        for cls, shape in (
            ("Dropout", IMAGE),
            ("GaussianDropout", IMAGE),
            ("SpatialDropout1D", SEQUENCE),
            ("SpatialDropout2D", IMAGE),
            ("SpatialDropout3D", VOLUME),
        )
        for argument in ({"rate": 0.5},)
    ),
    row("Dropout", IMAGE, training=True, rate=0.0),
    row("SpatialDropout2D", IMAGE, training=True, rate=0.0),
    row("GaussianNoise", IMAGE, stddev=0.5),
]

RECURRENT = [
    *(
        row(cls, SEQUENCE, **{"units": 4} | options)
        for cls in ("SimpleRNN", "LSTM", "GRU")
        for options in (
            {},
            {"return_sequences": True},
            {"go_backwards": True, "return_sequences": True},
            {"use_bias": False, "activation": "relu"},
            {"activation": "softsign"},
        )
    ),
    row("SimpleRNN", (1, 1, 1), units=1),
    row("LSTM", SEQUENCE, units=4, recurrent_activation="hard_sigmoid", unit_forget_bias=False),
    row("LSTM", (1, 1, 3), units=2, return_sequences=True),
    row("GRU", SEQUENCE, units=4, reset_after=False, return_sequences=True),
    row("GRU", SEQUENCE, units=4, reset_after=False, use_bias=False),
    row("GRU", SEQUENCE, units=4, recurrent_activation="relu"),
    row("Masking", SEQUENCE),
    row("Masking", SEQUENCE, mask_value=-1.0),
    row("Embedding", (4, 6), integers=7, input_dim=7, output_dim=3),
    row("Embedding", (4,), integers=7, input_dim=7, output_dim=1, mask_zero=True),
]

ROWS = [*DENSE, *CONVOLUTION, *POOLING, *SHAPING, *MERGING, *NORMALIZATION, *ACTIVATION, *NOISE, *RECURRENT]

# Public names that have no layer of Keras's to be compared with.
WITHOUT_PEER = {
    "Layer": "the base class",
    "Input": "a function",
    "InputLayer": "computes nothing",
    "Warp": "Keras has none",
} | dict.fromkeys(
    ("Bidirectional", "GRUCell", "LSTMCell", "SimpleRNNCell", "TimeDistributed"), "compared in test_recurrent.py"
)
