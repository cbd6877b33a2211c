"""A second opinion: operations against PyTorch, whose conventions differ, with gradients by its autograd.

PyTorch puts channels first, pads by a number of pixels on both sides, and stores kernels as (F, C, KH, KW).
"""

import numpy as np
import pytest

from tests.peers.compare import GRADIENTS, OUTPUTS, assert_close
from tinymed import layers, losses, optimizers

RANK = {1: "1d", 2: "2d", 3: "3d"}


def channels_first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def to_torch(torch, x):
    return torch.tensor(channels_first(x) if x.ndim > 2 else x, requires_grad=True)


def back(x):
    """Return a tensor's values with the channels last."""
    array = x.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def check(torch, layer, function, shape, training=False, kernel_axes=None, seed=0):
    """Compare a layer with a function of PyTorch tensors ``(x, *weights)``: output and all gradients."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype("float32")
    layer.build_once(shape)
    layer.set_weights([np.abs(rng.standard_normal(w.shape)).astype("float32") for w in layer.get_weights()])
    weights = [torch.tensor(w, requires_grad=True) for w in layer.params.values()]
    moved = [w.permute(*kernel_axes) if w.ndim > 1 and kernel_axes else w for w in weights]
    tensor = to_torch(torch, x)
    expected = function(tensor, *moved)
    y, cache = layer.forward(x, training=training)
    assert_close(y, back(expected), OUTPUTS, "output")

    dy = rng.standard_normal(y.shape).astype("float32")
    dx, grads = layer.backward(dy, cache)
    expected.backward(torch.tensor(channels_first(dy) if dy.ndim > 2 else dy))
    assert_close(dx, back(tensor.grad), GRADIENTS, "gradient of the input")
    for (name, got), weight in zip(grads.items(), weights, strict=True):
        assert_close(got, weight.grad, GRADIENTS, f"gradient of {name}")


SHAPES = {1: (2, 11, 4), 2: (2, 9, 8, 4), 3: (2, 6, 5, 7, 4)}
KERNEL_AXES = {1: (2, 1, 0), 2: (3, 2, 0, 1), 3: (4, 3, 0, 1, 2)}  # (KH, KW, C, F) to (F, C, KH, KW)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("options", "padding"),
    [
        ({"kernel_size": 3}, 0),
        ({"kernel_size": 2, "strides": 2}, 0),
        ({"kernel_size": 3, "padding": "same"}, 1),
        ({"kernel_size": 5, "padding": "same"}, 2),
        ({"kernel_size": 2, "dilation_rate": 3}, 0),
        ({"kernel_size": 3, "dilation_rate": 2, "padding": "same"}, 2),
        ({"kernel_size": 1, "strides": 3}, 0),
        ({"kernel_size": 3, "groups": 2}, 0),
        ({"kernel_size": 3, "groups": 4, "strides": 2}, 0),
    ],
    ids=str,
)
def test_convolution(rank, options, padding, torch):
    layer = getattr(layers, f"Conv{rank}D")(8, **options)
    convolve = getattr(torch.nn.functional, f"conv{RANK[rank]}")
    stride, dilation = options.get("strides", 1), options.get("dilation_rate", 1)
    groups = options.get("groups", 1)
    check(
        torch,
        layer,
        lambda x, kernel, bias: convolve(
            x, kernel, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        SHAPES[rank] if not (rank == 3 and options.get("dilation_rate")) else (1, 7, 8, 9, 4),
        kernel_axes=KERNEL_AXES[rank],
    )


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"kernel_size": 3}, {}),
        ({"kernel_size": 3, "strides": 2}, {"stride": 2}),
        ({"kernel_size": 3, "padding": "same"}, {"padding": 1}),
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, {"stride": 2, "padding": 1}),
        ({"kernel_size": (2, 3), "strides": (1, 3)}, {"stride": (1, 3)}),
        ({"kernel_size": 3, "strides": 2, "output_padding": 1}, {"stride": 2, "output_padding": 1}),
    ],
    ids=str,
)
def test_transposed_convolution(options, given, torch):
    layer = layers.Conv2DTranspose(5, **options)
    transposed = torch.nn.functional.conv_transpose2d
    check(
        torch,
        layer,
        lambda x, kernel, bias: transposed(x, kernel, bias, **given),
        (2, 5, 6, 4),
        kernel_axes=(3, 2, 0, 1),  # (KH, KW, F, C) to (C, F, KH, KW)
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (2, 3), (3, 1)])
def test_pooling(kind, rank, size, stride, torch):
    layer = getattr(layers, f"{kind}Pooling{rank}D")(size, strides=stride)
    pool = getattr(torch.nn.functional, f"{dict(Max='max', Average='avg')[kind]}_pool{RANK[rank]}")
    check(torch, layer, lambda x: pool(x, size, stride=stride), SHAPES[rank])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pooling_everything(rank, torch):
    axes = tuple(range(2, rank + 2))
    check(torch, getattr(layers, f"GlobalMaxPooling{rank}D")(), lambda x: x.amax(axes), SHAPES[rank])
    check(torch, getattr(layers, f"GlobalAveragePooling{rank}D")(), lambda x: x.mean(axes), SHAPES[rank])


def test_dense(torch):
    check(torch, layers.Dense(3), lambda x, kernel, bias: x @ kernel + bias, (5, 4))


@pytest.mark.parametrize("shape", [(7, 4), (3, 5, 6, 4), (3, 4, 3, 5, 4)], ids=str)
def test_batch_normalisation_in_training(shape, torch):
    layer = layers.BatchNormalization(momentum=0.9)
    running = [torch.zeros(4), torch.ones(4)]

    def normalise(x, gamma, beta):
        return torch.nn.functional.batch_norm(x, *running, gamma, beta, training=True, momentum=0.1, eps=1e-3)

    check(torch, layer, normalise, shape, training=True)
    # The moving statistics start from other values here; PyTorch moves to the variance with N - 1 in it.
    layer.state.update(moving_mean=np.zeros(4, "float32"), moving_variance=np.ones(4, "float32"))
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    layer.forward(x, training=True)
    n = x.size // 4
    assert_close(layer.state["moving_mean"], running[0], OUTPUTS, "moving mean")
    biased = 0.9 + (running[1].numpy() - 0.9) * (n - 1) / n
    assert_close(layer.state["moving_variance"], biased, OUTPUTS, "moving variance")


def test_batch_normalisation_in_inference(torch):
    layer = layers.BatchNormalization()
    layer.build_once((3, 5, 6, 4))

    def normalise(x, gamma, beta):
        mean, variance = (torch.tensor(layer.state[key]) for key in ("moving_mean", "moving_variance"))
        return torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    check(torch, layer, normalise, (3, 5, 6, 4))


def test_layer_normalisation(torch):
    normalise = torch.nn.functional.layer_norm
    check(torch, layers.LayerNormalization(), lambda x, g, b: normalise(x, (6,), g, b, eps=1e-3), (5, 6))


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_normalisation(groups, torch):
    normalise = torch.nn.functional.group_norm
    layer = layers.GroupNormalization(groups)
    check(torch, layer, lambda x, g, b: normalise(x, groups, g, b, eps=1e-3), (3, 4, 5, 6))


@pytest.mark.parametrize("size", [2, 3])
def test_upsampling(size, torch):
    enlarge = torch.nn.functional.interpolate
    check(torch, layers.UpSampling2D(size), lambda x: enlarge(x, scale_factor=size), (2, 4, 5, 3))
    bilinear = layers.UpSampling2D(size, interpolation="bilinear")
    check(
        torch,
        bilinear,
        lambda x: enlarge(x, scale_factor=size, mode="bilinear", align_corners=False),
        (2, 4, 5, 3),
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("relu", "relu"),
        ("leaky_relu", lambda f: lambda x: f.leaky_relu(x, 0.2)),
        ("elu", "elu"),
        ("selu", "selu"),
        ("gelu", "gelu"),
        ("silu", "silu"),
        ("mish", "mish"),
        ("softplus", "softplus"),
        ("softsign", "softsign"),
        ("sigmoid", "sigmoid"),
        ("hard_sigmoid", "hardsigmoid"),
        ("tanh", "tanh"),
        ("softmax", lambda f: lambda x: f.softmax(x, 1)),
        ("log_softmax", lambda f: lambda x: f.log_softmax(x, 1)),
    ],
    ids=lambda name: name if isinstance(name, str) else "",
)
def test_activations(ours, theirs, torch):
    functional = torch.nn.functional
    function = theirs(functional) if callable(theirs) else getattr(functional, theirs)
    check(torch, layers.Activation(ours), function, (6, 7))


def hinge(torch, p, y):
    return torch.relu(1 - (2 * y - 1) * p).mean()


LOSSES = {
    "MeanSquaredError": ({}, "numbers", lambda t, p, y: t.nn.functional.mse_loss(p, y)),
    "MeanAbsoluteError": ({}, "numbers", lambda t, p, y: t.nn.functional.l1_loss(p, y)),
    "Huber": ({"delta": 0.7}, "numbers", lambda t, p, y: t.nn.functional.huber_loss(p, y, delta=0.7)),
    "CosineSimilarity": ({}, "numbers", lambda t, p, y: -t.nn.functional.cosine_similarity(p, y).mean()),
    "BinaryCrossentropy": (
        {"from_logits": True},
        "bits",
        lambda t, p, y: t.nn.functional.binary_cross_entropy_with_logits(p, y),
    ),
    "Hinge": ({}, "bits", hinge),
    "SparseCategoricalCrossentropy": (
        {"from_logits": True},
        "classes",
        lambda t, p, y: t.nn.functional.cross_entropy(p, y),
    ),
    "SparseCategoricalCrossentropy, one class ignored": (
        {"from_logits": True, "ignore_class": 2},
        "classes",
        lambda t, p, y: t.nn.functional.cross_entropy(p, y, ignore_index=2),
    ),
    "CategoricalCrossentropy": (
        {"from_logits": True, "label_smoothing": 0.1},
        "one hot",
        lambda t, p, y: t.nn.functional.cross_entropy(p, y.argmax(1), label_smoothing=0.1),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, torch):
    options, kind, function = LOSSES[name]
    rng = np.random.default_rng(1)
    y_pred = rng.standard_normal((9, 5)).astype("float32")
    y_true = {
        "numbers": rng.standard_normal((9, 5)).astype("float32"),
        "bits": rng.integers(2, size=(9, 5)).astype("float32"),
        "classes": rng.integers(5, size=9),
        "one hot": np.eye(5, dtype="float32")[rng.integers(5, size=9)],
    }[kind]
    tensor = torch.tensor(y_pred, requires_grad=True)
    expected = function(torch, tensor, torch.tensor(y_true))
    expected.backward()
    loss = getattr(losses, name.partition(",")[0])(**options)
    value, cache = loss.forward(y_true, y_pred)
    assert_close(value, expected, OUTPUTS, "loss")
    assert_close(loss.backward(cache), tensor.grad, GRADIENTS, "gradient")


OPTIMIZERS = {
    "SGD": ({"learning_rate": 0.1}, lambda t, w: t.optim.SGD(w, lr=0.1)),
    "Adam": (
        {"learning_rate": 0.05, "epsilon": 1e-12},
        lambda t, w: t.optim.Adam(w, lr=0.05, eps=1e-12),
    ),
    "AdamW": (
        {"learning_rate": 0.05, "weight_decay": 0.1, "epsilon": 1e-12},
        lambda t, w: t.optim.AdamW(w, lr=0.05, weight_decay=0.1, eps=1e-12),
    ),
    "RMSprop": (
        {"learning_rate": 0.02, "rho": 0.9, "epsilon": 1e-12},
        lambda t, w: t.optim.RMSprop(w, lr=0.02, alpha=0.9, eps=1e-12),
    ),
    "Adagrad": (
        {"learning_rate": 0.1, "initial_accumulator_value": 0.1, "epsilon": 1e-12},
        lambda t, w: t.optim.Adagrad(w, lr=0.1, initial_accumulator_value=0.1, eps=1e-12),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, torch):
    """Where epsilon stands differs between the libraries, so it is next to nothing here."""
    options, build = OPTIMIZERS[name]
    rng = np.random.default_rng(2)
    start = rng.standard_normal((4, 3)).astype("float32")
    params, tensor = {"w": start.copy()}, torch.tensor(start, requires_grad=True)
    ours, theirs = getattr(optimizers, name)(**options), build(torch, [tensor])
    for _ in range(20):
        grad = rng.standard_normal(start.shape).astype("float32")
        ours.update(params, {"w": grad})
        tensor.grad = torch.tensor(grad)
        theirs.step()
    assert_close(params["w"], tensor, OUTPUTS, "weights")
