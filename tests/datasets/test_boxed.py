"""Images with boxes from a folder or a file: the same split every time, and one clear error for each mistake."""

import numpy as np
import pytest
from PIL import Image

from tinymed.datasets import boxed, lesions


def write_folder(folder, lines, count=8, size=(40, 48), header="image,y0,x0,y1,x1,patient"):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, size, dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "boxes.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


LINES = [f"{i}.png,10,12,20,24.5,{'ABCDEFGH'[i]}" for i in range(7)] + ["7.png,,,,,H", "0.png,1,1,4,4,A"]


def test_a_folder(tmp_path):
    parts = boxed.load(write_folder(tmp_path / "x", LINES))
    assert [len(parts[name]) for name in ("train", "val", "test")] == [6, 1, 1]
    whole = [(p, b) for part in parts.values() for p, b in zip(part.patients, part.boxes, strict=True)]
    assert sorted(p for p, _ in whole) == list("ABCDEFGH")
    by_patient = dict(whole)
    np.testing.assert_allclose(by_patient["A"], [[10, 12, 20, 24.5], [1, 1, 4, 4]])
    assert by_patient["H"].shape == (0, 4)
    assert parts["train"].images.shape == (6, 40, 48, 1)
    assert parts["train"].images.dtype == parts["train"].boxes[0].dtype == np.float32


def test_images_of_a_patient_stay_together_and_every_run_splits_alike():
    images = np.zeros((60, 32, 32, 1), np.float32)
    patients = [f"P{i // 3}" for i in range(60)]
    data = lesions.Lesions(images, [np.zeros((0, 4), np.float32)] * 60, patients)
    parts = boxed.split(data, "x")
    sets = [set(part.patients) for part in parts.values()]
    assert [len(s) for s in sets] == [14, 3, 3]
    assert not sets[0] & sets[1] and not sets[1] & sets[2] and not sets[0] & sets[2]
    again = boxed.split(data, "x")
    assert all(parts[name].patients == again[name].patients for name in parts)


def arrays(count=8, **changes):
    boxes = np.full((count, 2, 4), np.nan)
    boxes[:, 0] = [3, 4, 9, 12]
    boxes[1, 1] = [20, 20, 24, 25]
    boxes[2] = np.nan
    return {"images": np.zeros((count, 32, 36), np.uint8), "boxes": boxes, **changes}


def test_a_file(tmp_path):
    np.savez(tmp_path / "x.npz", **arrays())
    parts = boxed.load(tmp_path / "x.npz")
    assert sorted(len(boxes) for part in parts.values() for boxes in part.boxes) == [0, 1, 1, 1, 1, 1, 1, 2]
    assert parts["test"].images.shape[1:] == (32, 36, 1)


def test_a_file_that_is_split(tmp_path):
    slices = lesions.draw(9, seed=0)
    splits = {name: slices.take(np.arange(3) + 3 * i) for i, name in enumerate(("train", "val", "test"))}
    boxed.save(tmp_path / "x.npz", splits)
    for name, part in boxed.load(tmp_path / "x.npz").items():
        np.testing.assert_allclose(part.images, splits[name].images, atol=1e-5)
        assert all(np.array_equal(a, b) for a, b in zip(part.boxes, splits[name].boxes, strict=True))
    boxed.save(tmp_path / "test.npz", {"test": splits["test"]})
    assert len(boxed.load_split(tmp_path / "test.npz", "test")) == 3
    with pytest.raises(ValueError, match="no array 'train_images'"):
        boxed.load(tmp_path / "test.npz")
    with pytest.raises(ValueError, match="unknown split 'tests'"):
        boxed.load_split(tmp_path / "x.npz", "tests")


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, words",
    [
        ("0.png,10,12,50,20,A", r"boxes\.csv, line 2: the box .* = 10, 12, 50, 20 reaches out .* 40 x 48"),
        ("0.png,10,-1,20,20,A", r"line 2.*reaches out of the image"),
        ("0.png,10,12,10,20,A", r"line 2: the box .* has no area; it takes y0 < y1"),
        ("0.png,20,12,10,20,A", "has no area"),
        ("0.png,10,12,,20,A", r"line 2: 10, 12, , 20 are not four numbers"),
        ("0.png,10,12,x,20,A", r"are not four numbers"),
        ("0.png,10,12,nan,20,A", r"a box needs four numbers"),
        (",10,12,14,20,A", "no image is named"),
        ("9.png,10,12,14,20,A", r"names the image '9\.png', but .* has no such"),
    ],
)
def test_wrong_lines(tmp_path, line, words):
    folder = write_folder(tmp_path / "x", [line, *LINES])
    with pytest.raises(ValueError, match=words):
        boxed.load(folder)


def test_an_image_without_entry(tmp_path):
    folder = write_folder(tmp_path / "x", LINES, count=9)
    with pytest.raises(ValueError, match=r"8\.png has no entry in .*boxes\.csv; .* or '8\.png,,,,' if it has none"):
        boxed.load(folder)


def test_an_image_of_another_size(tmp_path):
    folder = write_folder(tmp_path / "x", LINES)
    Image.new("L", (50, 50)).save(folder / "3.png")
    with pytest.raises(ValueError, match=r"0\.png and 3\.png differ in size"):
        boxed.load(folder)


def test_an_image_of_two_patients(tmp_path):
    folder = write_folder(tmp_path / "x", [*LINES, "3.png,1,1,4,4,E"])
    with pytest.raises(ValueError, match=r"line 11: 3\.png belongs to two patients"):
        boxed.load(folder)


def test_a_folder_without_table_or_columns(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has no boxes\.csv; write one with the columns image,y0,x0,y1,x1"):
        boxed.load(tmp_path / "empty")
    folder = write_folder(tmp_path / "x", LINES, header="image,x,y,w,h,patient")
    with pytest.raises(ValueError, match="has no column 'y0'"):
        boxed.load(folder)
    (folder / "boxes.csv").write_text("image,y0,x0,y1,x1\n")
    with pytest.raises(ValueError, match="no line below its header"):
        boxed.load(folder)
    (folder / "boxes.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(ValueError, match="no table of text"):
        boxed.load(folder)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"boxes": np.zeros((8, 4))}, r"expected numbers \(N, K, 4\)"),
        ({"boxes": arrays(7)["boxes"]}, "8 images but boxes for 7; each image needs its own entry"),
        ({"boxes": np.tile([1.0, 1, 40, 4], (8, 1, 1))}, r"image 0: the box .* reaches out .* 32 x 36"),
        ({"boxes": np.tile([5.0, 5, 5, 9], (8, 1, 1))}, "has no area"),
        ({"boxes": np.tile([5.0, np.nan, 5, 9], (8, 1, 1))}, "a box needs four numbers"),
        ({"images": np.zeros((8, 32, 36, 3), np.uint8)}, "expected grey images"),
        ({"images": np.full((8, 32, 36), 7.0)}, r"pixels must lie in \[0, 1\]"),
        ({"patients": np.array(["A"] * 5)}, "8 images but 5 patients"),
        ({"patients": np.array(["A", "B"] * 4)}, "2 patients are too few"),
    ],
)
def test_wrong_arrays(tmp_path, changes, words):
    np.savez(tmp_path / "x.npz", **arrays(**changes))
    with pytest.raises(ValueError, match=words):
        boxed.load(tmp_path / "x.npz")


def test_other_files(tmp_path):
    np.savez(tmp_path / "x.npz", pictures=np.zeros(3))
    with pytest.raises(ValueError, match=r"has no array 'train_images'; it has pictures \(wanted: images and boxes"):
        boxed.load(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="no such file"):
        boxed.load(tmp_path / "nothing.npz")
    with pytest.raises(ValueError, match="no such file"):
        boxed.read_picture(tmp_path / "nothing.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="no image that can be read"):
        boxed.read_picture(tmp_path / "broken.png")
