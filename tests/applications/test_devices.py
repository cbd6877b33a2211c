"""Every task trains, tests and predicts on a device as it does on the host, and copies data at the edges alone.

The same small run is made with NumPy and on the device: the stand-in that refuses all but the array API standard
(see tests/devices.py), and CuPy with ``-m gpu``. Histories, numbers and predictions must agree; and on the stand-in
nothing may cross between host and device but batches, weights, scores and results.
"""

import contextlib
import dataclasses
import importlib

import numpy as np
import pytest

from tests.applications.conftest import draw
from tests.devices import DEVICES, crossings, none_of, on
from tinymed import layers, metrics
from tinymed.applications import TASKS, classification, crossvalidation, ecg, explanation, find, pneumonia
from tinymed.backend import get_backend
from tinymed.datasets import chests
from tinymed.datasets.volumes import Volume, write

FEW = {"train": 16, "val": 12, "test": 12}


def examples(suffix="npz"):
    return lambda folder, data: folder / f"examples.{suffix}"


@dataclasses.dataclass(frozen=True)
class Small:
    """A run of a task that takes seconds: what is made smaller, its options, and where tests and predictions read."""

    smaller: tuple = ()
    options: dict = dataclasses.field(default_factory=dict)
    data: str | None = None
    tested: object = examples()
    predicted: object = examples()
    split: str = "test"


SMALL = {
    "autoencoder": Small(
        (("chest_images", "SAMPLES", {**FEW, "train": 40}), ("autoencoder", "OTHER_CODES", (2,))),
        {"network": "convolutional"},
    ),
    "detection": Small((("detection", "SAMPLES", {"train": 4, "val": 2, "test": 2}),), {"batch_size": 2}),
    "digits": Small((("digits", "SAMPLES", {"train": 40, "val": 20, "test": 20}),)),
    "ecg": Small(
        (
            ("ecg_data", "COUNTS", {"train": 4, "val": 2, "test": 2}),
            ("ecg", "NETWORKS", {"lstm": dataclasses.replace(ecg.NETWORKS["lstm"], drawn=8, rate=6.25)}),
        ),
        {"network": "lstm", "batch_size": 4},
        split="all",
    ),
    "gan": Small((("chest_images", "SAMPLES", {**FEW, "train": 32}),), {"batch_size": 16}, "chests",
                 tested=lambda folder, data: data),
    "lung-disease": Small((("lung_disease", "DRAWN", 48), ("lung_disease", "build", "small"))),
    "nodules": Small((("nodules", "SAMPLES", FEW),)),
    "pneumonia": Small(data="xrays"),
    "progression": Small((("progression_data", "COUNTS", {"train": 24, "val": 8, "test": 8}),),
                         tested=examples("csv"), predicted=examples("csv"), split="all"),
    "registration": Small(
        (("registration_pairs", "SAMPLES", {"train": 4, "val": 2, "test": 2}), ("registration", "REFINING", 6)),
        {"batch_size": 2},
    ),
    "segmentation": Small(data="boxes", options={"batch_size": 4}, tested=lambda folder, data: data,
                          predicted=lambda folder, data: data / "imagesTr"),
    "transfer": Small((("transfer", "FIRST", {"images": 32, "epochs": 1, "batch_size": 32}), ("transfer", "TEST", 16),
                       ("transfer", "WIDTHS", (4, 4)))),
}  # fmt: skip


def small_network(num_classes=4):
    from tests.applications.test_lung_disease import small

    return small(num_classes)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return data that tasks cannot draw for themselves, by name."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 24), ("val", 12), ("test", 12)):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = draw(n, rng)
    np.savez(folder / "xrays.npz", **arrays)
    x, y = chests.chests(12, seed=9)
    np.savez(folder / "chests.npz", test_images=x, test_labels=y)
    for k in range(5):
        truth = np.zeros((16, 16, 4), np.uint8)
        truth[3 : 8 + k, 4:10, 1:3] = 1
        image = 100 + 60 * (truth == 1) + rng.normal(0, 8, truth.shape)
        like = Volume(image.astype(np.int16), np.diag([-1.0, 1.0, 2.0, 1.0]))
        write(folder / "boxes" / "imagesTr" / f"box_{k}.nii.gz", like.array, like)
        write(folder / "boxes" / "labelsTr" / f"box_{k}.nii.gz", truth, like)
    return {"xrays": folder / "xrays.npz", "chests": folder / "chests.npz", "boxes": folder / "boxes"}


@dataclasses.dataclass
class Outcome:
    """What came out of a run: numbers by epoch, of the test in training and after it, of each input; what crossed."""

    history: dict
    trained: dict
    tested: dict
    predicted: list
    seen: list


def outcome(task, files, folder, device):
    """Train, test and predict on a device."""
    small, module = SMALL[task], find(task)
    data = files.get(small.data)
    learned = {} if data is None or task == "gan" else {"data": data}
    noted = crossings() if device == "array_api_strict" else contextlib.nullcontext([])
    with pytest.MonkeyPatch.context() as patch, on(device), noted as seen:
        patch.setitem(metrics.bootstrap.__kwdefaults__, "samples", 100)
        for name, attribute, value in small.smaller:
            value = small_network if value == "small" else value
            patch.setattr(importlib.import_module(f"tinymed.applications.{name}"), attribute, value)
        result = module.train(out=folder / "run", epochs=1, verbose=0, **learned, **small.options)
        model = result.folder / "model.safetensors"
        tested = module.evaluate(model, small.tested(result.folder, data), small.split)
        predicted = module.predict(model, [small.predicted(result.folder, data)])
    return Outcome(result.history, result.metrics, tested, [*map(dataclasses.asdict, predicted)], list(seen))


@pytest.fixture(scope="module")
def on_the_host(files, tmp_path_factory):
    """Return the outcomes with NumPy, each made when it is first asked for."""
    made = {}

    def get(task):
        if task not in made:
            made[task] = outcome(task, files, tmp_path_factory.mktemp("host"), "numpy")
        return made[task]

    return get


def numbers(value, path=""):
    """Yield all numbers in nested dicts, lists and arrays, with their places; times and versions are no results."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not str(key).startswith("seconds") and key not in ("versions", "folder", "file"):
                yield from numbers(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from numbers(item, f"{path}/{place}")
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        yield path, value.astype(float)
    elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
        yield path, float(value)


def assert_alike(found, wanted, tolerance):
    found, wanted = dict(numbers(found)), dict(numbers(wanted))
    assert found.keys() == wanted.keys()
    for path, value in wanted.items():
        scale = float(np.max(np.abs(value), initial=0, where=np.isfinite(value)))
        np.testing.assert_allclose(found[path], value, rtol=tolerance, atol=tolerance * max(scale, 1), err_msg=path)


EDGES = {
    "backend.py": {"constant"},
    "base.py": {"add_weight", "get_weights", "set_weights"},
    "data.py": {"_batch"},
    "saving.py": {"_set_by_path", "contiguous"},
    "weights.py": {"load_weights"},
    "scores.py": {"_value"},
    "training.py": {"predict"},
    "adversarial.py": {"noise"},
    "autoencoder.py": {"encode"},
    "gan.py": {"_fit", "_means", "draw"},
    "principal.py": {"decoder_rows"},
}
"""Who may copy: weights, batches and codes on the way to the device; weights, scores and outputs on the way back."""

PASSED_ON = {"asarray", "to_host", "<listcomp>", "<dictcomp>", "<genexpr>"}


def edge(crossing):
    """Return the file and function at which something crossed."""
    return next((file, name) for file, _, name in crossing.stack if name not in PASSED_ON)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", SMALL)
def test_the_same_as_on_the_host(task, device, files, on_the_host, tmp_path):
    wanted = on_the_host(task)
    found = outcome(task, files, tmp_path, device)
    assert_alike(found.history, wanted.history, 1e-3)
    assert_alike(found.trained, wanted.trained, 2e-2)
    assert_alike(found.tested, wanted.tested, 2e-2)
    assert_alike(found.predicted, wanted.predicted, 2e-2)
    elsewhere = [crossing for crossing in found.seen if edge(crossing)[1] not in EDGES.get(edge(crossing)[0], ())]
    assert not none_of(elsewhere)
    inside = [crossing for crossing in found.seen if crossing.within("train_step", "test_step", "discriminator_step")]
    assert not none_of([crossing for crossing in inside if edge(crossing)[1] not in ("constant", "noise")])


@pytest.mark.parametrize("device", DEVICES)
def test_explaining_and_cross_validating(device, files, trained, tmp_path):
    def found():
        maps = explanation.explain(trained.folder / "model.safetensors", [trained.folder / "examples.npz"])
        folds = crossvalidation.crossvalidate(pneumonia, data=files["xrays"], folds=2, epochs=1, verbose=0,
                                              out=tmp_path / get_backend())  # fmt: skip
        return [item.maps for item in maps], folds.metrics

    wanted = found()
    with on(device):
        maps, numbers_there = found()
    assert_alike(maps, wanted[0], 2e-3)
    assert_alike(numbers_there, wanted[1], 2e-2)


def test_a_planted_copy_in_a_task_is_caught(files, tmp_path, monkeypatch):
    usual = classification.scores_of

    def peeking(model, images):
        assert float(next(iter(model.params.values()))[0, 0, 0, 0]) < 1e9
        return usual(model, images)

    monkeypatch.setattr(classification, "scores_of", peeking)
    found = outcome("pneumonia", files, tmp_path, "array_api_strict")
    assert {edge(crossing) for crossing in found.seen} >= {("test_devices.py", "peeking"), ("data.py", "_batch")}


def test_a_planted_numpy_function_in_a_task_is_caught(files, tmp_path, monkeypatch):
    usual = layers.MaxPooling2D.forward
    monkeypatch.setattr(layers.MaxPooling2D, "forward", lambda self, x, *rest, **k: usual(self, np.abs(x), *rest, **k))
    with pytest.raises((TypeError, RuntimeError)):
        outcome("pneumonia", files, tmp_path, "array_api_strict")


def test_every_task_is_here():
    assert set(SMALL) == set(TASKS)
