"""``import tinymed as tf`` offers what programs written for tf.keras use."""

import tinymed as tf


def test_the_names_of_tf_keras():
    model = tf.keras.Sequential(
        [tf.keras.layers.Conv2D(2, (3, 3), input_shape=(8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)]
    )
    model.compile(
        tf.keras.optimizers.Adam(), tf.keras.losses.MeanSquaredError(), metrics=[tf.keras.metrics.MeanAbsoluteError()]
    )
    assert model.built
    assert tf.keras.models.Sequential is tf.keras.Sequential is tf.Sequential
