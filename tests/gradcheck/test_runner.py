import numpy as np
import pytest

from tests.devices import HOST_AND_GPU, on
from tests.gradcheck.operations import operation
from tinymed import backend, gradcheck
from tinymed.gradcheck import LayerCase, LossCase, OpCase
from tinymed.gradcheck.runner import all_names, check_all, subjects
from tinymed.layers import BatchNormalization, Dense, Dropout
from tinymed.losses import MeanSquaredError
from tinymed.models import Sequential


@pytest.mark.parametrize("device", HOST_AND_GPU)
@pytest.mark.parametrize("name", all_names())
def test_everything_is_right(name, device):
    with on(device):
        report = check_all([name])
    assert report.ok, str(report)


def test_names_objects_and_cases():
    assert gradcheck.check("dense").items() == ["dense"]
    assert gradcheck.check("Adam").items() == ["Adam"]
    assert gradcheck.check("CosineDecay").ok
    assert gradcheck.check(Dense(2), (3, 4)).ok
    assert gradcheck.check(Dense(2, input_shape=(4,))).ok
    assert gradcheck.check(MeanSquaredError()).ok
    assert gradcheck.check(MeanSquaredError(), cases=[LossCase(MeanSquaredError, (2, 2), (2, 2))]).ok
    assert gradcheck.check(OpCase("tanh", {"x": (2, 2)})).ok
    assert gradcheck.check(LayerCase(lambda: Dense(2), (3, 4))).ok
    assert gradcheck.check(operation(), cases=[OpCase("square", {"x": (2, 3)})]).ok
    assert gradcheck.check(Sequential([Dense(3, input_shape=(4,), activation="tanh"), Dense(1)])).ok


def test_a_model_with_a_hidden_saturated_layer_raises_no_alarm():
    """The check works on a copy of the model; its activations were copied with it and then not rounded."""
    for seed in range(120, 140):
        backend.set_seed(seed)
        model = Sequential([Dense(3, activation="tanh", input_shape=(4,)), Dense(1, activation="sigmoid")])
        report = gradcheck.check(model)
        assert report.ok, f"seed {seed}: {report}"


def test_a_wrong_operation_of_ones_own_is_found():
    report = gradcheck.check(operation(backward=lambda dy, x: x * dy), cases=[OpCase("square", {"x": (2, 3)})])
    assert not report.ok and "gradient" in report.caught_by()


def test_one_check_alone():
    assert {row.check for row in gradcheck.check("dense", only=["adjoint"]).rows} == {"adjoint"}


def test_both_bodies_are_checked_where_there_are_two():
    bodies = [subject.textbook_only for subject in subjects("conv2d")]
    assert set(bodies) == {True, False}
    assert all(subject.textbook_only for subject in subjects("tanh"))


@pytest.mark.parametrize(
    ("layer", "modes", "random"), [(Dense(2), 1, False), (Dropout(0.5), 2, True), (BatchNormalization(), 2, False)]
)
def test_both_modes_are_checked_where_they_differ(layer, modes, random):
    found = list(subjects(layer, (4, 6)))
    assert len(found) == modes and found[0].random is random


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(ValueError, match="nothing to check is called 'conv2'; did you mean 'conv2d'"):
        gradcheck.check("conv2")
    with pytest.raises(ValueError, match="without names checks everything"):
        gradcheck.run(["xyzzy"])


def test_what_has_no_case_is_told():
    with pytest.raises(ValueError, match=r"needs input_shape=\(3, ...\)"):
        gradcheck.check(Dense(2))
    with pytest.raises(ValueError, match="there is no case"):
        gradcheck.check(operation())


def test_the_same_seed_gives_the_same_errors():
    a, b = (gradcheck.check("tanh", seed=3) for _ in range(2))
    assert [row.error for row in a.rows] == [row.error for row in b.rows]
    assert [row.error for row in gradcheck.check("tanh", seed=4).rows] != [row.error for row in a.rows]


def test_an_exception_is_a_finding():
    def broken(dy, cache):
        raise RuntimeError("out of order")

    report = gradcheck.check(operation(backward=broken), cases=[OpCase("square", {"x": (2, 3)})])
    assert not report.ok and "RuntimeError: out of order" in report.failures[0].note


def test_the_command_prints_a_table_and_returns_the_status(capsys, tmp_path):
    assert gradcheck.run(["dense", "Adam"], html=str(tmp_path / "report.html")) == 0
    text = capsys.readouterr().out
    assert "kernel" in text and "all right" in text and "1e-07 relative" in text and "never ones" in text
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "softmax without its coupling" in page and page.count("<svg") >= 5


def test_the_command_returns_one_for_a_failure(capsys, monkeypatch):
    from tinymed.ops import REGISTRY

    monkeypatch.setattr(REGISTRY["tanh"], "backward", lambda dy, cache: dy)
    assert gradcheck.run(["tanh"]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["dense", "softmax", "Dense", "MeanSquaredError", "Adam"])
def test_the_command_runs_on_another_library(name, capsys):
    pytest.importorskip("array_api_strict")
    assert gradcheck.run([name], backend="array_api_strict") == 0
    assert backend.get_backend() == "numpy"


def test_points_on_kinks_do_not_fail():
    for seed in range(20):
        assert gradcheck.check(OpCase("relu", {"x": (9, 9)}), seed=seed, only=["gradient", "kinks"]).ok
    assert np.isfinite(gradcheck.check("relu").rows[0].error)


@pytest.mark.parametrize(
    ("name", "seed", "only"),
    [
        ("lstm", 5, "kinks"),  # weights on whole numbers too: several gates bent at once
        ("lstm", 2, "kinks"),  # a small bend passed for smooth
        ("GRU", 14, "extremes"),  # a gate nearly shut, behind large sums, is shut in single precision
        ("simple_rnn", 105, "agreement"),  # a single saturated unit: 1 - y² has lost its digits in both bodies
        ("simple_rnn", 34, "agreement"),  # one number left over by the dropout, a sum that cancels, in double precision
        ("gru", 35, "agreement"),  # a sum of three gates' terms that cancel
        ("mutual_information", 43, "agreement"),  # images that say next to nothing about each other
        ("gru", 46, "kinks"),  # no input, no state, no bias: all units at zero at once
        ("conv2d_relu_max_pool", 23, "extremes"),  # two windows so alike that rounding decides which is the maximum
        ("conv2d_relu_max_pool", 111, "extremes"),  # the same among denormal numbers
    ],
)
def test_seeds_that_once_raised_a_false_alarm(name, seed, only):
    report = gradcheck.check(name, seed=seed, only=[only])
    assert report.ok, str(report)
