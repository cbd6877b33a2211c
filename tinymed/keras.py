"""The names that programs written for ``tf.keras`` expect: ``import tinymed as tf`` and ``tf.keras...`` works.

>>> import tinymed as tf
>>> model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
>>> model.count_params()
4
"""

from tinymed import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    preprocessing,
    regularizers,
    utils,
)
from tinymed.layers import Input
from tinymed.models import Model, Sequential

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "activations",
    "callbacks",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "utils",
]
