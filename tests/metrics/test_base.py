import math

import array_api_strict as strict
import numpy as np
import pytest

from tests.devices import DEVICES, is_on, on
from tinymed import backend, metrics
from tinymed.backend import array_namespace
from tinymed.gradcheck.subject import dtype_name
from tinymed.layers.base import reset_names

DEVICE = strict.Device("device1")


def every_metric():
    """One metric of each class, with labels and predictions that it takes."""
    rng = np.random.default_rng(0)
    binary = rng.integers(0, 2, (9, 1)).astype("float32"), rng.random((9, 1), dtype="float32")
    classes = rng.integers(0, 4, 9), rng.random((9, 4), dtype="float32")
    one_hot = np.eye(4, dtype="float32")[classes[0]], classes[1]
    masks = rng.integers(0, 3, (2, 4, 4)), rng.integers(0, 3, (2, 4, 4))
    one_hot_masks = np.eye(3, dtype="float32")[masks[0]], rng.random((2, 4, 4, 3), dtype="float32")
    arguments = {
        "IoU": {"num_classes": 3, "target_class_ids": [0, 2]},
        "MeanIoU": {"num_classes": 3},
        "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
        "OneHotMeanIoU": {"num_classes": 3},
        "PrecisionAtRecall": {"recall": 0.5},
        "RecallAtPrecision": {"precision": 0.5},
        "SensitivityAtSpecificity": {"specificity": 0.5},
        "SpecificityAtSensitivity": {"sensitivity": 0.5},
    }
    for name, cls in metrics.CLASSES.items():
        if name.endswith("Crossentropy") or name in ("Mean", "Sum"):
            continue
        data = binary
        if name in ("IoU", "MeanIoU", "Accuracy"):
            data = masks
        elif name.startswith("OneHot"):
            data = one_hot_masks
        elif name.startswith("Sparse"):
            data = classes
        elif "Categorical" in name or name.endswith("Score"):
            data = one_hot
        yield pytest.param(cls, arguments.get(name, {}), *data, id=name)


@pytest.mark.parametrize(("cls", "arguments", "y_true", "y_pred"), list(every_metric()))
class TestEveryMetric:
    @pytest.mark.parametrize("device", DEVICES)
    def test_runs_on_a_device_and_agrees_with_the_host(self, cls, arguments, y_true, y_pred, device):
        host, there = cls(**arguments), cls(**arguments)
        for weight in (None, np.linspace(0, 1, len(y_true), dtype="float32")):
            if weight is not None and y_true.ndim > 2:
                weight = np.broadcast_to(weight[:, None, None], (2, 4, 4)).copy()
            host.update_state(y_true, y_pred, weight)
            with on(device):
                there.update_state(*(None if a is None else backend.asarray(a) for a in (y_true, y_pred, weight)))
        assert all(is_on(device, array) for array in there.state.values())
        result = there.result()
        assert is_on(device, result)
        assert dtype_name(result) == dtype_name(host.result()) == "float32"
        np.testing.assert_allclose(backend.to_host(result), host.result(), rtol=1e-6)

    def test_batches_add_up(self, cls, arguments, y_true, y_pred):
        whole, parts = cls(**arguments), cls(**arguments)
        whole.update_state(y_true, y_pred)
        parts.update_state(y_true[:1], y_pred[:1])
        parts.update_state(y_true[1:], y_pred[1:])
        np.testing.assert_allclose(parts.result(), whole.result(), rtol=1e-6)

    def test_reset_forgets(self, cls, arguments, y_true, y_pred):
        metric = cls(**arguments)
        assert np.all(metric.result() == 0)
        first = metric(y_true, y_pred)
        metric.reset_state()
        assert np.all(metric.result() == 0)
        np.testing.assert_array_equal(metric(y_true, y_pred), first)

    def test_weight_zero_leaves_a_sample_out(self, cls, arguments, y_true, y_pred):
        weight = np.ones(len(y_true), dtype="float32")
        weight[0] = 0
        if y_true.ndim > 2:
            weight = np.broadcast_to(weight[:, None, None], (2, 4, 4)).copy()
        weighted, without = cls(**arguments), cls(**arguments)
        np.testing.assert_allclose(
            weighted(y_true, y_pred, weight), without(y_true[1:], y_pred[1:]), rtol=1e-6, atol=1e-7
        )

    def test_configuration_makes_the_same_metric(self, cls, arguments, y_true, y_pred):
        metric = cls(**arguments)
        again = metrics.get({"class_name": cls.__name__, "config": metric.get_config()})
        assert type(again) is cls
        assert again.name == metric.name
        np.testing.assert_array_equal(again(y_true, y_pred), metric(y_true, y_pred))

    def test_arguments_are_not_changed(self, cls, arguments, y_true, y_pred):
        copies = y_true.copy(), y_pred.copy()
        metric = cls(**arguments)
        metric.update_state(y_true, y_pred)
        metric.update_state(y_true, y_pred)
        metric.result()
        np.testing.assert_array_equal(y_true, copies[0])
        np.testing.assert_array_equal(y_pred, copies[1])

    def test_half_precision_predictions(self, cls, arguments, y_true, y_pred):
        half = y_pred.astype("float16")
        ours, single = cls(**arguments), cls(**arguments)
        np.testing.assert_allclose(ours(y_true, half), single(y_true, half.astype("float32")), rtol=1e-6)


def test_counts_stay_exact_beyond_what_float32_can_count():
    metric = metrics.TruePositives()
    ones = np.ones(2**20, dtype="float32")
    for _ in range(17):
        metric.update_state(ones, ones)
    metric.update_state([1.0], [1.0])
    assert int(metric.state["true_positives"][0]) == 17 * 2**20 + 1
    mean = metrics.Mean()
    mean.update_state(np.ones(2**24, dtype="float32"))
    mean.update_state([1.0])
    assert float(mean.state["count"]) == 2**24 + 1
    assert mean.result() == 1


def test_mean_reduces_weights_like_values():
    mean = metrics.Mean()
    mean.update_state([[1.0, 3.0], [5.0, 7.0]])
    assert mean.result() == 4
    mean.reset_state()
    mean.update_state([[1.0, 3.0], [5.0, 7.0]], sample_weight=[1.0, 3.0])
    assert mean.result() == (2 + 3 * 6) / 4
    mean.reset_state()
    mean.update_state([[1.0, 3.0], [5.0, 7.0]], sample_weight=[[1.0, 0.0], [0.0, 3.0]])
    assert mean.result() == (1 + 21) / 4
    mean.reset_state()
    mean.update_state(5.0)
    mean.update_state(2.0)
    assert mean.result() == 3.5
    mean.update_state([1.0, 3.0], sample_weight=2)
    assert mean.result() == (7 + 8) / 6


def test_mean_without_weight_is_zero_and_sum_adds():
    assert metrics.Mean()([1.0, 2.0], sample_weight=[0.0, 0.0]) == 0
    assert metrics.Sum()([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 2.0]) == 17


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"sample_weight of shape \(3,\) does not fit values of shape \(2,\)"):
        metrics.Mean().update_state([1.0, 2.0], sample_weight=[1.0, 2.0, 3.0])


def test_nan_in_the_values_shows():
    assert math.isnan(metrics.Mean()([1.0, math.nan]))


def test_wrapper_keeps_name_arguments_and_configuration():
    metric = metrics.MeanMetricWrapper(metrics.binary_accuracy, threshold=0.8)
    assert metric.name == "binary_accuracy"
    assert metric([1, 1], [0.7, 0.9]) == 0.5
    again = metrics.MeanMetricWrapper.from_config(metric.get_config())
    assert again([1, 1], [0.7, 0.9]) == 0.5
    with pytest.raises(ValueError, match="unknown metric function 'mine'"):
        metrics.MeanMetricWrapper("mine")


def test_repeated_names_are_numbered_as_keras_does():
    reset_names()
    assert [metrics.AUC().name, metrics.AUC().name, metrics.MeanIoU(2).name] == ["auc", "auc_1", "mean_io_u"]


def test_labels_on_the_host_follow_predictions_to_the_device():
    metric = metrics.BinaryAccuracy()
    metric.update_state(np.asarray([1.0, 0.0]), strict.asarray([0.9, 0.8], dtype=strict.float32, device=DEVICE))
    assert metric.state["total"].device == DEVICE


def test_result_dtype():
    assert metrics.Mean(dtype="float64")([1.0]).dtype == np.float64


def test_devices_need_not_be_hashable(monkeypatch):
    class Device:  # as those of CuPy
        __hash__ = None

        def __eq__(self, other):
            return other == "cpu"

        def __repr__(self):
            return "cpu"

    monkeypatch.setattr("tinymed.metrics.base.device_of", lambda x: Device())
    monkeypatch.setattr("tinymed.metrics.base._has_float64", {})
    assert metrics.AUC()([0, 1], [0.1, 0.9]) == 1


def test_sums_in_float32_where_the_device_has_no_float64(monkeypatch):
    key = array_namespace(np.zeros(1)).__name__, "cpu"
    monkeypatch.setattr("tinymed.metrics.base._has_float64", {key: False})
    mean = metrics.Mean()
    mean.update_state(np.ones(3, dtype="float32"))
    assert mean.state["total"].dtype == np.float32
