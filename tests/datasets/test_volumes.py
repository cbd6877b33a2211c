"""NIfTI, MetaImage and DICOM in one form, masks written back, and one clear error for everything that can be wrong."""

import gzip

import numpy as np
import pytest

from tinymed.datasets import volumes

nibabel = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")

RNG = np.random.default_rng(0)
AFFINE = np.array([[0.0, -2.0, 0.0, 30.0], [1.5, 0.0, 0.0, -10.0], [0.0, 0.0, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])
VOXELS = RNG.integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


def save(path, array=VOXELS, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_nifti(tmp_path, name):
    volume = volumes.read(save(tmp_path / name))
    np.testing.assert_array_equal(volume.array, VOXELS)
    np.testing.assert_allclose(volume.affine, AFFINE)
    assert volume.array.dtype == np.int16 and volume.array.dtype.isnative
    assert volume.spacing == pytest.approx((1.5, 2, 3))
    assert volume.millilitres == pytest.approx(0.009)
    assert volume.name.endswith(name)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_meta_image_lies_at_the_same_place_as_nifti(tmp_path, name):
    image = sitk.ReadImage(str(save(tmp_path / "a.nii")))
    sitk.WriteImage(image, str(tmp_path / name))
    volume = volumes.read(tmp_path / name)
    np.testing.assert_array_equal(volume.array, VOXELS)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_dicom_series_in_any_order_of_its_files(tmp_path):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    series, slices = generate_uid(), RNG.integers(0, 500, (3, 6, 5)).astype(np.uint16)  # z, y, x
    for k, file in zip(range(3), ("b", "c", "a"), strict=True):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID, data.Modality = series, generate_uid(), "MR"
        data.ImagePositionPatient, data.ImageOrientationPatient = [10, 20, 4 * k], [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.SliceThickness, data.InstanceNumber = [2, 1], 4, k + 1
        data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 6, 5, 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.PixelData = slices[k].tobytes()
        data.save_as(tmp_path / f"{file}.dcm", enforce_file_format=True)
    volume = volumes.read(tmp_path)
    np.testing.assert_array_equal(volume.array, slices.T)
    np.testing.assert_allclose(volume.affine, [[-1, 0, 0, -10], [0, -2, 0, -20], [0, 0, 4, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(volume.to_ras(), slices.T[::-1, ::-1])


def test_turning_and_turning_back():
    volume = volumes.Volume(VOXELS, AFFINE)
    turned = volume.to_ras()
    assert turned.shape == (5, 4, 6)
    assert volume.spacing_ras == pytest.approx((2, 1.5, 3))
    for voxel in ((0, 0, 0), (3, 1, 2)):
        # the first axis of the file runs to the front, the second to the left
        i, j, k = voxel
        assert turned[4 - j, i, k] == VOXELS[voxel]
    np.testing.assert_array_equal(volume.from_ras(turned), VOXELS)
    np.testing.assert_array_equal(volume.to_ras(VOXELS > 0), turned > 0)


@pytest.mark.parametrize("seed", range(8))
def test_turning_agrees_with_nibabel(seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    tilt = np.linalg.qr(np.eye(3) + 0.15 * rng.standard_normal((3, 3)))[0]
    affine[:3, :3] = axes @ (tilt * np.sign(np.diag(tilt))) * rng.uniform(0.5, 3, 3)
    volume = volumes.Volume(VOXELS, affine)
    wanted = nibabel.as_closest_canonical(nibabel.Nifti1Image(VOXELS, affine))
    np.testing.assert_array_equal(volume.to_ras(), np.asarray(wanted.dataobj))
    np.testing.assert_allclose(volume.spacing_ras, wanted.header.get_zooms(), rtol=1e-5)
    np.testing.assert_array_equal(volume.from_ras(volume.to_ras()), VOXELS)


def test_real_files(data_folder):
    lung = volumes.read(data_folder / "registration" / "elastix_misc" / "3DCT_lung_baseline_small.mha")
    assert (lung.array.shape, lung.array.dtype) == ((57, 78, 64), np.int16)
    assert lung.spacing == pytest.approx((2.732, 2.732, 5))
    crop = volumes.read(data_folder / "dicom_samples" / "brain_mr_multimodal" / "11_HCropVolume")
    assert crop.array.shape == (34, 50, 40)
    big_endian = volumes.read(data_folder / "nifti_samples" / "nibabel" / "anatomical.nii")
    assert (big_endian.array.shape, big_endian.array.dtype) == ((33, 41, 25), np.dtype("int16"))
    assert big_endian.array.dtype.isnative


# --- what can be wrong -------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path):
    good = save(tmp_path / "good.nii.gz").read_bytes()
    (tmp_path / "short.nii.gz").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.nii").write_text("no volume")
    (tmp_path / "alone.mhd").write_text("ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementDataFile = gone.raw\n")
    (tmp_path / "x.png").write_text("")
    (tmp_path / "empty").mkdir()
    for name, words in {
        "missing.nii": "no such file",
        "short.nii.gz": "short.nii.gz is a damaged NIfTI file",
        "text.nii": "text.nii is a damaged NIfTI file",
        "alone.mhd": r"alone.mhd cannot be read .* needs its .raw file beside it",
        "x.png": "x.png is no volume that can be read here; use .nii",
        "empty": "empty has no DICOM series",
    }.items():
        with pytest.raises(ValueError, match=words):
            volumes.read(tmp_path / name)


def test_arrays_that_are_no_volume(tmp_path):
    with pytest.raises(
        ValueError, match=r"four.nii: expected a volume with three axes but found an array \(2, 2, 2, 3\)"
    ):
        volumes.read(save(tmp_path / "four.nii", np.zeros((2, 2, 2, 3), np.float32)))
    with pytest.raises(ValueError, match=r"nan.nii has 1 voxels that are NaN or infinite"):
        volumes.read(save(tmp_path / "nan.nii", np.array([[[np.nan, 0.0]]], np.float32)))
    with pytest.raises(ValueError, match="a spacing is zero"):
        volumes._checked(VOXELS, np.diag([1.0, 1, 0, 1]), tmp_path)
    with pytest.raises(ValueError, match="voxels of type complex64"):
        volumes.read(save(tmp_path / "complex.nii", np.zeros((2, 2, 2), np.complex64)))
    assert volumes.read(save(tmp_path / "one.nii", np.zeros((2, 3, 4, 1), np.float32))).array.shape == (2, 3, 4)
    assert volumes.read(save(tmp_path / "flat.nii", np.zeros((2, 3), np.float32))).array.shape == (2, 3, 1)


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r'a.nii needs nibabel: pip install "tinymed\[medical\]"'):
        volumes.read(save(tmp_path / "a.nii"))


# --- writing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nii"])
def test_masks_are_written_where_their_volume_lies(tmp_path, name):
    like = volumes.Volume(VOXELS, AFFINE)
    mask = (VOXELS > 0).astype(np.uint8)
    volumes.write(tmp_path / "new" / name, mask, like)
    again = volumes.read(tmp_path / "new" / name)
    np.testing.assert_array_equal(again.array, mask)
    np.testing.assert_allclose(again.affine, AFFINE)
    assert again.array.dtype == np.uint8
    first = (tmp_path / "new" / name).read_bytes()
    volumes.write(tmp_path / "new" / name, mask, like)
    assert (tmp_path / "new" / name).read_bytes() == first  # no time of day in it
    data = gzip.decompress(first) if name.endswith("gz") else first
    assert int.from_bytes(data[:4], "little") == 348
    with pytest.raises(ValueError, match="has no place in a volume"):
        volumes.write(tmp_path / name, mask[1:], like)
    with pytest.raises(ValueError, match=r"end in .nii.gz"):
        volumes.write(tmp_path / "m.mha", mask, like)
