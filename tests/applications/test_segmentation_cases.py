"""From volumes to slices and back: nothing is lost, nothing is turned, nobody is in two splits."""

import json

import numpy as np
import pytest

from tinymed.applications import segmentation_cases as cases_of
from tinymed.applications.segmentation_cases import Case, Plan
from tinymed.datasets.volumes import Volume, write

nibabel = pytest.importorskip("nibabel")
RNG = np.random.default_rng(0)


def volume(shape=(10, 12, 6), affine=None, name="a"):
    return Volume(RNG.normal(100, 30, shape).astype(np.float32), np.eye(4) if affine is None else affine, name)


class Oracle:
    """Answers class 1 where the slice in the middle is above 0, from the slices that it is shown."""

    def __init__(self):
        self.shapes = []

    def predict(self, x, **options):
        self.shapes.append(x.shape)
        bright = x[..., x.shape[-1] // 2] > 0
        return np.stack([~bright, bright], axis=-1).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [(1, 1, 1), (-1, -1, 1)])
def test_what_is_found_lies_where_it_was_seen(axis, sign):
    affine = np.diag([*sign, 1.0])[[1, 0, 2, 3]]  # the first axis of the file runs to the front
    seen, oracle = volume(affine=affine), Oracle()
    plan = Plan(axis, (1.0, 1.0, 1.0))
    found = cases_of.segment(oracle, seen, plan)
    assert found.shape == seen.array.shape and found.dtype == np.uint8
    middle = cases_of.prepare(seen, plan).slices[..., 1]
    np.testing.assert_array_equal(np.moveaxis(seen.to_ras(found), axis, 0), middle > 0)
    assert all(size % cases_of.DEEPEST == 0 for size in oracle.shapes[0][1:3])


def test_neighbouring_slices_are_channels():
    seen = volume()
    prepared = cases_of.prepare(seen, Plan(2, (1.0, 1.0, 1.0), slices=3), (seen.array > 100).astype(np.uint8))
    assert prepared.slices.shape == (6, 10, 12, 3) and prepared.slices.dtype == np.float32
    np.testing.assert_array_equal(prepared.slices[1:, ..., 0], prepared.slices[:-1, ..., 1])
    np.testing.assert_array_equal(prepared.slices[:-1, ..., 2], prepared.slices[1:, ..., 1])
    np.testing.assert_array_equal(prepared.slices[0, ..., 0], prepared.slices[0, ..., 1])
    np.testing.assert_array_equal(prepared.truth, np.moveaxis(seen.array > 100, 2, 0))
    assert prepared.slices[..., 1].mean() == pytest.approx(0, abs=1e-5)


def test_a_volume_of_another_spacing_is_seen_in_that_of_the_network():
    seen, oracle = volume((20, 24, 6), np.diag([0.5, 0.5, 2, 1])), Oracle()
    found = cases_of.segment(oracle, seen, Plan(2, (1.0, 1.0, 1.0)))
    assert oracle.shapes == [(12, 16, 16, 3)]  # 20 x 24 x 6 voxels are 10 x 12 x 12 mm
    assert found.shape == seen.array.shape
    assert 0.3 < found.mean() < 0.7


def test_ct_windows():
    seen = Volume(np.full((8, 8, 2), 50, np.int16), np.eye(4))
    assert cases_of.prepare(seen, Plan(2, (1.0, 1.0, 1.0), window="abdomen")).slices == pytest.approx(0)
    with pytest.raises(ValueError, match="unknown CT window 'abdomin'; did you mean 'abdomen'"):
        Plan(2, (1.0, 1.0, 1.0), window="abdomin")


def test_the_plan_follows_the_scans():
    thick = [Case("a", volume((9, 20, 30), np.diag([4.0, 1, 1, 1])), np.zeros((9, 20, 30), np.uint8))]
    assert cases_of.plan_for(thick) == Plan(0, (4.0, 1.0, 1.0), size=(24, 32))
    cubes = [Case("a", volume((9, 20, 30)), np.zeros((9, 20, 30), np.uint8))]
    assert cases_of.plan_for(cubes, "lung") == Plan(2, (1.0, 1.0, 1.0), window="lung", size=(16, 24))  # 30 slices
    assert cases_of.plan_for(cubes, axis=0).axis == 0


def test_training_slices_have_one_size():
    cases = [Case(str(k), volume(shape), np.ones(shape, np.uint8)) for k, shape in enumerate([(10, 12, 3), (20, 7, 2)])]
    images, masks = cases_of.training_slices(cases, Plan(2, (1.0, 1.0, 1.0), size=(16, 8)))
    assert images.shape == (5, 16, 8, 3) and masks.shape == (5, 16, 8)
    assert masks.dtype == np.uint8
    assert masks[0].sum() == 10 * 8 and masks[-1].sum() == 16 * 7


def test_long_work_is_shown_only_where_somebody_watches(capsys):
    assert list(cases_of.watched([1, 2], "testing")) == [1, 2]
    assert capsys.readouterr() == ("", "")


# --- folders -----------------------------------------------------------------------------------------------------


def folder_of(path, count=6, highest=1):
    for k in range(count):
        seen = volume((8, 8, 4))
        write(path / "images" / f"case_{k}.nii.gz", seen.array, seen)
        write(path / "labels" / f"case_{k}.nii.gz", (seen.array > 100).astype(np.uint8) * highest, seen)
    return path


def test_a_folder_is_split_by_case_and_always_in_the_same_way(tmp_path):
    found = cases_of.read_split(folder_of(tmp_path))
    names = [[case.name for case in part] for part in (found.train, found.val, found.test)]
    assert sorted([*names[0], *names[1], *names[2]]) == [f"case_{k}" for k in range(6)]
    assert [len(part) for part in names] == [4, 1, 1]
    assert found.labels == {1: "label 1"}
    again = cases_of.read_split(tmp_path)
    assert [[case.name for case in part] for part in (again.train, again.val, again.test)] == names
    order = [f"case_{k}" for k in range(6)]
    assert cases_of.split_names(order) == cases_of.split_names(order[::-1])


@pytest.mark.parametrize("labels", [{"0": "background", "1": "Liver"}, {"background": 0, "Liver": 1}])
def test_names_of_the_labels(tmp_path, labels):
    folder_of(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert cases_of.read_split(tmp_path).labels == {1: "liver"}


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(ValueError, match="4 cases are too few"):
        cases_of.read_split(folder_of(tmp_path / "few", 4))
    with pytest.raises(ValueError, match="all masks of the training cases are empty"):
        cases_of.read_split(folder_of(tmp_path / "empty", highest=0))
    folder = folder_of(tmp_path / "odd")
    test = cases_of.split_names([f"case_{k}" for k in range(6)])["test"][0]
    seen = volume((8, 8, 4))
    write(folder / "labels" / f"{test}.nii.gz", np.full((8, 8, 4), 7, np.uint8), seen)
    with pytest.raises(ValueError, match=f"the mask of {test} has label 7, which no training case has"):
        cases_of.read_split(folder)
    (folder / "dataset.json").write_text("{}")
    with pytest.raises(ValueError, match=r"dataset.json does not say what the labels are"):
        cases_of.read_split(folder)


def test_real_cases_are_split_as_recorded(data_folder):
    found, _ = cases_of.find(data_folder / "msd_hippocampus")
    parts = cases_of.split_names([cases_of.volume_folders.case_of(image) for image, _ in found])
    assert {split: len(names) for split, names in parts.items()} == {"train": 182, "val": 26, "test": 52}
    assert not set(parts["train"]) & set(parts["test"])
