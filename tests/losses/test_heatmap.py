"""The loss of a detector's heat maps as an object."""

import numpy as np
import pytest

from tinymed import losses
from tinymed.layers import Conv2D, Input
from tinymed.models import Model
from tinymed.ops.heatmap import heatmap_focal_crossentropy

RNG = np.random.default_rng(0)
HEAT = RNG.uniform(0, 0.9, (3, 4, 4, 1)).astype(np.float32)
HEAT[0, 1, 1], HEAT[2, 3, 0] = 1.0, 1.0
P = RNG.uniform(0.05, 0.95, HEAT.shape).astype(np.float32)


def test_one_number_for_the_batch():
    loss = losses.HeatmapFocalCrossentropy(alpha=1.5, beta=3)
    value, cache = loss.forward(HEAT, P)
    np.testing.assert_allclose(value, heatmap_focal_crossentropy(HEAT, P, 1.5, 3)[0])
    assert value.shape == () and loss.backward(cache).shape == P.shape
    logits = losses.HeatmapFocalCrossentropy(1.5, 3, from_logits=True)
    np.testing.assert_allclose(logits(HEAT, np.log(P / (1 - P))), value, rtol=1e-5)


def test_by_name_and_configuration():
    loss = losses.get("heatmap_focal_crossentropy")
    assert isinstance(loss, losses.HeatmapFocalCrossentropy)
    again = losses.HeatmapFocalCrossentropy.from_config(losses.HeatmapFocalCrossentropy(1.5, 3).get_config())
    assert (again.alpha, again.beta, again.from_logits) == (1.5, 3.0, False)
    assert losses.heatmap_focal_crossentropy(HEAT, P).shape == ()


def test_a_sigmoid_before_it_is_left_to_it():
    x = Input((4, 4, 1))
    model = Model(x, Conv2D(1, 1, activation="sigmoid")(x))
    model.compile("adam", losses.HeatmapFocalCrossentropy())
    model.fit(P, HEAT, epochs=1, verbose=0)
    objective, _ = model._ready()
    assert objective.fused == [True]


def test_targets_are_heat_maps():
    with pytest.raises(ValueError, match="between 0 and 1"):
        losses.HeatmapFocalCrossentropy().check_targets(HEAT * 255, (None, 4, 4, 1))
    with pytest.raises(ValueError, match="same height, width"):
        losses.HeatmapFocalCrossentropy().check_targets(HEAT, (None, 8, 8, 1))
