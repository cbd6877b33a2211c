"""Reductions, weights, masks, ranks and names of all losses."""

import array_api_strict
import numpy as np
import pytest

from tinymed import backend, losses, ops
from tinymed.losses.base import same_rank
from tinymed.ops.registry import REGISTRY, backward_of, op

Y = np.array([[1.0], [2.0], [4.0]])
P = np.array([[1.0], [4.0], [1.0]])  # squared errors 0, 4, 9
W = np.array([1.0, 0.5, 2.0])


@pytest.mark.parametrize(
    "reduction, plain, weighted",
    [
        ("sum_over_batch_size", 13 / 3, 20 / 3),
        ("mean", 13 / 3, 20 / 3),
        ("sum", 13, 20),
        ("mean_with_sample_weight", 13 / 3, 20 / 3.5),
    ],
)
def test_reductions(reduction, plain, weighted):
    loss = losses.MeanSquaredError(reduction=reduction)
    np.testing.assert_allclose(loss(Y, P), plain)
    for w in (W, W[:, None], W.tolist()):
        value, cache = loss.forward(Y, P, w)
        np.testing.assert_allclose(value, weighted)
        np.testing.assert_allclose(loss.backward(cache), 2 * (P - Y) * W[:, None] * weighted / 20)
        np.testing.assert_allclose(loss.backward(cache, 3.0), 3 * 2 * (P - Y) * W[:, None] * weighted / 20)


@pytest.mark.parametrize("reduction", ["none", None])
def test_no_reduction_gives_a_value_for_each_sample(reduction):
    loss = losses.MeanSquaredError(reduction=reduction)
    value, cache = loss.forward(Y, P, W)
    np.testing.assert_array_equal(value, [0, 2, 18])
    np.testing.assert_array_equal(loss.backward(cache, np.array([1.0, 1.0, 0.5])), [[0], [2], [-6]])


def test_weights_of_samples_spread_over_their_pixels():
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 3, 4, 4, 1))
    loss = losses.MeanSquaredError()
    w = np.array([1.0, 2.0, 3.0])
    value, cache = loss.forward(y, p, w)
    np.testing.assert_allclose(value, np.mean(w[:, None, None] * (p - y)[..., 0] ** 2))
    np.testing.assert_allclose(loss.backward(cache), 2 * w[:, None, None, None] * (p - y) / (3 * 4 * 4))
    everywhere = np.broadcast_to(w[:, None, None], (3, 4, 4))
    np.testing.assert_allclose(loss(y, p, everywhere), value)
    np.testing.assert_allclose(loss(y, p, everywhere[..., None]), value)


def test_a_mask_leaves_the_mean_of_what_counts():
    loss = losses.MeanSquaredError()
    mask = np.array([True, False, True])
    value, cache = loss.forward(Y, P, mask=mask)
    np.testing.assert_allclose(value, 9 / 2)
    np.testing.assert_allclose(loss.backward(cache), [[0], [0], [-3]])
    assert loss(Y, P, mask=np.zeros(3, bool)) == 0
    np.testing.assert_allclose(loss(Y, P, W, mask), 18 / 2)
    np.testing.assert_allclose(losses.MeanSquaredError(reduction="mean_with_sample_weight")(Y, P, W, mask), 18 / 3)


def test_weights_that_are_all_zero():
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight"):
        value, cache = (loss := losses.MeanSquaredError(reduction=reduction)).forward(Y, P, np.zeros(3))
        assert value == 0
        np.testing.assert_array_equal(loss.backward(cache), 0.0)


def test_an_empty_batch_is_no_error():
    value, cache = (loss := losses.MeanSquaredError()).forward(np.zeros((0, 2)), np.zeros((0, 2)))
    assert value == 0 and loss.backward(cache).shape == (0, 2)


@pytest.mark.parametrize("w", [np.ones(2), np.ones((3, 2)), np.ones((1, 3))])
def test_weights_that_do_not_fit(w):
    with pytest.raises(
        ValueError, match=r"mean_squared_error: sample_weight has shape .* the losses have shape \(3,\)"
    ):
        losses.MeanSquaredError()(Y, P, w)


def test_a_missing_last_axis_is_no_broadcast():
    loss = losses.MeanSquaredError()
    for y, p in ((Y[:, 0], P), (Y, P[:, 0]), (Y[:, 0], P[:, 0])):
        value, cache = loss.forward(y, p)
        np.testing.assert_allclose(value, 13 / 3)
        gradient = loss.backward(cache)
        assert gradient.shape == p.shape
        np.testing.assert_allclose(gradient.reshape(3), [0, 4 / 3, -2])
    assert same_rank((8, 5), (8, 5, 1)) == ((8, 5), (8, 5))
    assert same_rank((8, 2), (8,)) == ((8, 2), (8,))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_and_kinds(dtype):
    p = P.astype(dtype)
    for y in (Y, Y.astype(int), Y.astype(np.float32), Y.tolist()):
        value, cache = (loss := losses.MeanSquaredError()).forward(y, p)
        assert isinstance(value, np.ndarray) and value.shape == () and value.dtype == dtype
        assert loss.backward(cache).dtype == dtype
    assert losses.MeanSquaredError()(Y > 1, p).dtype == dtype
    assert losses.MeanSquaredError()([1], [[2]]).dtype == np.float32


def test_targets_on_the_host_follow_the_predictions_to_the_device():
    device = array_api_strict.Device("device1")
    with backend.use_backend("array_api_strict", device):
        p = backend.asarray(P, "float32")
        value, cache = (loss := losses.MeanSquaredError()).forward(Y, p, W)
        assert value.device == device and loss.backward(cache).device == device
        np.testing.assert_allclose(backend.to_host(value), 20 / 3, rtol=1e-6)


def test_config_round_trip():
    for name, cls in losses.CLASSES.items():
        loss = cls(reduction="sum", name="mine")
        again = losses.get({"class_name": name, "config": loss.get_config()})
        assert type(again) is cls and again.get_config() == loss.get_config()
        assert again.name == "mine" and again.reduction == "sum"


def test_unknown_reduction():
    with pytest.raises(ValueError, match="reduction='average' is unknown; choose one of 'sum_over_batch_size'"):
        losses.MeanSquaredError(reduction="average")


def test_losses_without_a_twin_on_logits_say_so():
    assert losses.MeanSquaredError().fuses_with is None
    with pytest.raises(ValueError, match="mean_squared_error cannot be fused"):
        losses.MeanSquaredError().with_logits()


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", losses.FUNCTIONS)
def test_name_function_class_and_object_mean_the_same(name):
    function = losses.FUNCTIONS[name]
    cls = function.loss_class
    for identifier in (name, function, cls, cls(), cls.__name__):
        assert type(losses.get(identifier)) is cls
    assert getattr(losses, name) is function and function.__name__ in losses.FUNCTIONS


def test_short_names():
    assert losses.mse is losses.MSE is losses.mean_squared_error
    assert losses.kld is losses.kullback_leibler_divergence is losses.kl_divergence
    assert losses.bce is losses.binary_crossentropy
    assert losses.logcosh is losses.log_cosh
    assert losses.get("huber_loss").name == "huber_loss"
    assert losses.get(None) is None


def test_functions_take_the_arguments_of_the_class():
    y, p = np.array([[0.0]]), np.array([[3.0]])
    np.testing.assert_allclose(losses.huber(y, p, 2.0), [4.0])
    np.testing.assert_allclose(losses.huber(y, p, delta=2.0), [4.0])
    np.testing.assert_allclose(losses.binary_crossentropy(y, p, True), np.log1p(np.exp([3.0])))
    with pytest.raises(TypeError, match="huber takes 3 arguments at most but got 4"):
        losses.huber(y, p, 2.0, 3.0)


def test_an_operation_of_ones_own_is_a_loss():
    @op
    def cubic_error(y_true, y_pred):
        return (y_pred - y_true)[..., 0] ** 3, y_pred - y_true

    try:

        @backward_of(cubic_error)
        def cubic_error_backward(dy, cache):
            return dy[..., None] * 3 * cache**2

        loss = losses.get(cubic_error)
        value, cache = loss.forward(Y, P)
        np.testing.assert_allclose(value, (8 - 27) / 3)
        np.testing.assert_allclose(loss.backward(cache), [[0], [4], [9]])
        assert losses.get({"class_name": "OperationLoss", "config": loss.get_config()}).name == "cubic_error"
    finally:
        del REGISTRY["cubic_error"]
    assert losses.get(ops.log_cosh).operation_name == "log_cosh"


@pytest.mark.parametrize(
    "identifier, error, message",
    [
        ("mean_square_error", ValueError, "unknown loss 'mean_square_error'; did you mean 'mean_squared_error'"),
        (lambda y, p: p - y, TypeError, "has no backward.*as a pair under @tinymed.ops.op"),
        (7, TypeError, "loss=7 is no loss"),
    ],
)
def test_mistakes_are_explained(identifier, error, message):
    with pytest.raises(error, match=message):
        losses.get(identifier)
