"""The .npz reader: what it returns, and one clear error for each way a file can be wrong."""

import re

import numpy as np
import pytest

from tinymed.datasets import medmnist


def arrays(**changes):
    rng = np.random.default_rng(0)
    made = {}
    for split, n in (("train", 6), ("val", 4), ("test", 5)):
        made[f"{split}_images"] = rng.integers(0, 256, (n, 8, 9), dtype=np.uint8)
        made[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    made.update(changes)
    return {key: value for key, value in made.items() if value is not None}


@pytest.fixture
def write(tmp_path):
    def write_file(name="data.npz", **changes):
        np.savez_compressed(tmp_path / name, **arrays(**changes))
        return tmp_path / name

    return write_file


def test_reads_three_splits(write):
    data = medmnist.load(write())
    assert data.train.images.shape == (6, 8, 9, 1)
    assert data.train.images.dtype == np.float32
    assert data.val.labels.tolist() == [0, 1, 0, 1]
    assert data.test.labels.dtype == np.int64
    assert len(data.test) == 5
    assert data.classes == ("0", "1")
    x, y = data.test
    np.testing.assert_allclose(x[..., 0], arrays()["test_images"] / 255, rtol=1e-6)
    assert y.shape == (5,)


def test_class_names_by_file_name(write):
    assert medmnist.load(write("pneumoniamnist.npz")).classes == ("normal", "pneumonia")
    assert medmnist.load(write(), classes=["a", "b"]).classes == ("a", "b")


def test_colour_sixteen_bits_and_floats(write):
    colour = np.zeros((5, 8, 9, 3), np.uint8)
    assert medmnist.load_split(write(test_images=colour), "test").images.shape == (5, 8, 9, 3)
    deep = np.full((5, 8, 9), 65535, np.uint16)
    assert medmnist.load_split(write(test_images=deep), "test").images.max() == 1
    floats = np.full((5, 8, 9), 0.25)
    read = medmnist.load_split(write(test_images=floats), "test").images
    assert read.dtype == np.float32
    assert read.max() == 0.25


def test_one_split_needs_no_others(write):
    path = write(train_images=None, train_labels=None, val_images=None, val_labels=None)
    assert len(medmnist.load_split(path, "test")) == 5
    with pytest.raises(ValueError, match="no array 'train_images'"):
        medmnist.load(path)
    with pytest.raises(ValueError, match="unknown split 'tets'"):
        medmnist.load_split(path, "tets")


def test_real_file(data_folder):
    data = medmnist.load(data_folder / "medmnist" / "pneumoniamnist.npz")
    assert [len(split) for split in (data.train, data.val, data.test)] == [4708, 524, 624]
    assert data.train.images.shape[1:] == (28, 28, 1)
    assert np.bincount(data.train.labels).tolist() == [1214, 3494]
    assert data.classes == ("normal", "pneumonia")


# --- errors: each names the file and the fix ------------------------------------------------------------------


def refused(path, *words):
    with pytest.raises(ValueError) as caught:
        medmnist.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    for word in words:
        assert word in message, message


def test_missing_file(tmp_path):
    refused(tmp_path / "none.npz", "no such file", "check the path")


def test_folder_and_file_that_may_not_be_read(tmp_path, write, monkeypatch):
    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz", "is a folder", "name a file in it")

    def denied(*args):
        raise PermissionError(13, "Permission denied")

    path = write()
    monkeypatch.setattr(medmnist, "open", denied, raising=False)
    refused(path, "Permission denied", "check its permissions")


def test_no_zip(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz", "no .npz file", "fetch it again")


def test_empty_file(tmp_path):
    (tmp_path / "empty.npz").write_bytes(b"")
    refused(tmp_path / "empty.npz", "no .npz file")


def test_cut_off(write):
    path = write()
    path.write_bytes(path.read_bytes()[:-400])
    refused(path, "fetch it again")


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_inside(tmp_path, compressed):
    path = tmp_path / "bad.npz"
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    save = np.savez_compressed if compressed else np.savez
    save(path, **arrays(train_images=images, train_labels=np.zeros(40, np.uint8)))
    raw = bytearray(path.read_bytes())
    raw[2000:2100] = bytes(255 - b for b in raw[2000:2100])
    path.write_bytes(bytes(raw))
    refused(path, "train_images", "is damaged", "again")


def test_pickle_is_refused(write, tmp_path):
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    path = write(test_labels=np.array([Evil()] * 5, dtype=object))
    marker.unlink(missing_ok=True)
    refused(path, "test_labels", "pickle", "refused", "numpy.savez")
    assert not marker.exists()


def test_no_arrays_and_foreign_members(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    refused(tmp_path / "none.npz", "contains no arrays")
    with zipfile.ZipFile(tmp_path / "foreign.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "foreign.npz", "'readme.txt' is no NumPy array")


def test_missing_key(write):
    refused(write(val_labels=None), "no array 'val_labels'", "it has test_images")


def floats(value):
    images = np.zeros((6, 8, 9))
    images[2, 3, 4] = value
    return images


@pytest.mark.parametrize(
    "change, words",
    [
        ({"train_images": np.zeros((6, 8), np.uint8)}, ["train_images", "expected (N, H, W)", "(6, 8)"]),
        ({"train_images": np.zeros((6, 3, 8, 9), np.uint8)}, ["channels seem to be first", "np.moveaxis"]),
        ({"train_images": np.zeros((0, 8, 9), np.uint8)}, ["no images", "(0, 8, 9)"]),
        ({"train_images": np.zeros((6, 8, 9), np.int64)}, ["int64", "scale them"]),
        ({"train_images": np.array([["a"] * 9] * 8)[None].repeat(6, 0)}, ["<U1"]),
        ({"train_images": floats(np.nan)}, ["1 pixels are NaN or infinite"]),
        ({"train_images": floats(np.inf)}, ["NaN or infinite"]),
        ({"train_images": floats(-1000.0)}, ["must lie in [0, 1]", "-1000", "scale"]),
        ({"val_images": np.zeros((4, 7, 7), np.uint8)}, ["differ in shape"]),
        ({"val_labels": np.zeros(3, np.uint8)}, ["val_labels", "expected (4,) or (4, 1)", "(3,)"]),
        ({"val_labels": np.eye(4, dtype=np.uint8)}, ["one-hot", "np.argmax"]),
        ({"val_labels": np.array([0, 1, -1, 0])}, ["0 or more", "-1"]),
        ({"val_labels": np.array([0, 1, 0.5, 0])}, ["whole numbers"]),
        ({"val_labels": np.array([0, 1, np.nan, 0])}, ["whole numbers"]),
        ({"val_labels": np.array(["a", "b", "a", "b"])}, ["whole numbers", "<U1"]),
    ],
)
def test_wrong_content(write, change, words):
    refused(write(**change), *words)


def test_labels_out_of_range(write):
    with pytest.raises(ValueError, match=re.escape("labels must be 0 to 1 but reach from 0 to 7")):
        medmnist.load_split(write(test_labels=np.array([0, 1, 7, 0, 0])), "test", classes=2)
