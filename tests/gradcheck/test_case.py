import numpy as np

from tinymed.gradcheck import LayerCase, LossCase, OpCase


def test_drawing_gives_arrays_in_the_forwards_order_and_dtype():
    labels = lambda rng: rng.integers(0, 3, 4)  # noqa: E731
    case = OpCase("conv2d", {"x": (4, 2), "gamma": None, "labels": labels}, fixed=("labels",))
    drawn = case.draw(np.random.default_rng(0), "float32")
    assert list(drawn) == ["x", "gamma", "labels"]
    assert drawn["x"].shape == (4, 2) and drawn["x"].dtype == np.float32
    assert drawn["gamma"] is None
    assert drawn["labels"].dtype.kind == "i"


def test_the_same_generator_draws_the_same():
    case = OpCase("tanh", {"x": (3,)})
    a, b = (case.draw(np.random.default_rng(5))["x"] for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_cases_may_be_listed_without_options():
    assert LayerCase(dict, (2, 3)).draw is None
    assert LossCase(dict, (2,), (2,)).sample_weight is None
