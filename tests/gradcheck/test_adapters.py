import numpy as np
import pytest

from tests.gradcheck.operations import operation, passes
from tinymed import backend, losses
from tinymed.gradcheck.adapters import LayerRunner, has_kernel, subject_of_layer, subject_of_loss, subject_of_op, walk
from tinymed.gradcheck.case import LayerCase, LossCase, OpCase
from tinymed.layers import Add, BatchNormalization, Dense, Dropout, Input
from tinymed.models import Model, Sequential
from tinymed.ops import REGISTRY


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_operations_get_their_arrays_by_position_and_none_for_those_left_out(rng):
    item = subject_of_op(OpCase("dense", {"x": (2, 3), "kernel": (3, 2), "bias": None}))
    assert item.tensors == ("x", "kernel")
    _, gradients = item.at(item.draw(rng, "float64"))
    assert list(gradients) == ["x", "kernel"]


def test_the_number_of_gradients_must_fit():
    item = subject_of_op(OpCase("square", {"x": (2,)}), operation(backward=lambda dy, x: (dy, dy)))
    with pytest.raises(ValueError, match="returned 2 gradients; expected one for each of x"):
        item.at({"x": np.ones(2)})


def test_kernels_are_known_by_the_array_type():
    assert has_kernel(REGISTRY["conv2d"]) and not has_kernel(REGISTRY["tanh"])
    with backend.use_backend("array_api_strict"):
        assert not has_kernel(REGISTRY["conv2d"])


def test_a_layers_weights_are_part_of_the_point_and_move_away_from_zero(rng):
    item = subject_of_layer(LayerCase(lambda: Dense(3), (5, 4)))
    point = item.draw(rng, "float64")
    assert list(point) == ["x", "kernel", "bias"] == list(item.tensors)
    assert np.all(point["bias"] != 0)
    y, _ = item.run(point)
    np.testing.assert_allclose(y, point["x"] @ point["kernel"] + point["bias"])


def test_layers_of_several_inputs(rng):
    item = subject_of_layer(LayerCase(Add, [(2, 3), (2, 3)]))
    point = item.draw(rng, "float32")
    assert item.tensors == ("x[0]", "x[1]")
    _, gradients = item.at(point)
    assert set(gradients) == {"x[0]", "x[1]"}


def test_a_layer_without_a_gradient_for_a_weight_is_told(rng):
    class Forgetful(Dense):
        def backward(self, dy, cache, input_gradient=True):
            dx, grads = super().backward(dy, cache, input_gradient)
            return dx, {"kernel": grads["kernel"]}

    item = subject_of_layer(LayerCase(lambda: Forgetful(3), (5, 4)))
    with pytest.raises(ValueError, match="no gradient for bias"):
        item.at(item.draw(rng, "float64"))


@pytest.mark.parametrize("make", [lambda: Dropout(0.5), BatchNormalization])
def test_every_run_starts_from_the_same_state_and_seeds(make, rng):
    item = subject_of_layer(LayerCase(make, (4, 6)), training=True)
    point = item.draw(rng, "float64")
    np.testing.assert_array_equal(item.outputs(point), item.outputs(point))


def test_continuing_goes_on_from_the_last_state(rng):
    runner = LayerRunner(LayerCase(lambda: Dropout(0.5), (4, 60)), training=True)
    point = runner.draw(rng, "float64")
    with runner.continuing(1):
        a, b = runner.forward(point)[0], runner.forward(point)[0]
    assert not np.array_equal(a, b)


def test_checking_leaves_the_root_seed_alone():
    backend.set_seed(3)
    expected = backend.new_generator().random()
    backend.set_seed(3)
    item = subject_of_layer(LayerCase(lambda: Dropout(0.5), (4, 6)))
    item.outputs(item.draw(np.random.default_rng(0), "float64"))
    assert backend.new_generator().random() == expected
    assert backend.floatx() == "float32"


def test_a_given_layer_is_copied():
    layer = Dense(3)
    layer.build_once((None, 4))
    before = layer.get_weights()
    item = subject_of_layer(LayerCase(lambda: layer, (5, 4)), layer=layer)
    assert passes("gradient", item)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert layer.params["kernel"].dtype == np.float32


def test_a_whole_model_is_checked_in_double_precision():
    x = Input((4,))
    shared = Dense(4, activation="tanh")
    model = Model(x, Dense(2)(BatchNormalization()(shared(shared(x)))))
    item = subject_of_layer(LayerCase(lambda: model, (5, 4)), layer=model)
    assert item.run(item.draw(np.random.default_rng(0), "float64"))[0].dtype == np.float64
    assert passes("gradient", item)


def test_walking_finds_layers_in_models_in_models():
    inner = Sequential([Dense(3, input_shape=(4,))])
    outer = Sequential([inner, Dense(2)])
    assert sum(isinstance(part, Dense) for part in walk(outer)) == 2


def test_a_loss_gives_its_gradient_to_the_predictions(rng):
    item = subject_of_loss(LossCase(losses.MeanSquaredError, (5, 2), (5, 2), lambda r: r.uniform(size=5), "weighted"))
    assert item.tensors == ("y_pred",) and item.item == "MeanSquaredError"
    assert passes("gradient", item)
