"""Pairs of images for registration: phantoms with a known deformation, and real ones from a folder."""

from __future__ import annotations

import importlib
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed.applications.registration_single import check_same_size
from tinymed.datasets import deformations
from tinymed.datasets.medmnist import read_npz, unit_range
from tinymed.ops import warp

PathLike = str | os.PathLike[str]
PICTURES, ARRAYS, META, DICOM = (".png", ".jpg", ".jpeg"), (".npz",), (".mhd", ".mha", ".nii", ".gz"), (".dcm",)
SUFFIXES = (*PICTURES, *ARRAYS, *META, *DICOM)
SPLIT_SEED = 14
"""Decides which images of a folder are held out, whatever the seed of the training is."""


@dataclass(frozen=True)
class Pairs:
    """Images to register.

    Attributes:
        moving: The images to deform (N, size, size, 1), float32 from 0 to 1.
        fixed: What they shall look like.
        truth: The displacements between them (N, size, size, 2), where they are known.
        inside: Where the truth counts, boolean (N, size, size).
        names: What each pair is.
    """

    moving: np.ndarray
    fixed: np.ndarray
    truth: np.ndarray | None = None
    inside: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.moving)


@dataclass(frozen=True)
class PairData:
    """What a run works on.

    Attributes:
        draw: Returns the training pairs of an epoch, ``(moving, fixed)``.
        val: Pairs that choose the epoch.
        test: Pairs that are looked at once, at the end.
        about: What the data are, for the report.
        split: Which images belong to which part, for the report.
    """

    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    val: Pairs
    test: Pairs
    about: str
    split: dict[str, Any]


# --- phantoms --------------------------------------------------------------------------------------------------

SIZE = 64
SAMPLES = {"train": 600, "val": 48, "test": 48}
MEAN, SIGMA = 2.0, 8.0
"""Mean length of the displacements and how smooth they are, in pixels of a 64 x 64 image."""


def phantoms(seed: int, several_modalities: bool) -> PairData:
    """Draw pairs of phantom brains: T1 and T1, or T1 and T2. Each split and each seed has brains of its own."""
    kinds = (deformations.T1, deformations.T2 if several_modalities else deformations.T1)
    parts = {
        split: Pairs(*deformations.pairs(count, SIZE, 3 * seed + i, MEAN, SIGMA, kinds))
        for i, (split, count) in enumerate(SAMPLES.items())
    }
    train = parts["train"]

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mirror half of the pairs, and where there is one modality let half of the images change their roles."""
        moving, fixed = train.moving.copy(), train.fixed.copy()
        for turned in (np.s_[:, :, ::-1], np.s_[:, ::-1]):
            chosen = rng.random(len(moving)) < 0.5
            moving[chosen], fixed[chosen] = moving[chosen][turned], fixed[chosen][turned]
        if not several_modalities:
            chosen = rng.random(len(moving)) < 0.5
            moving[chosen], fixed[chosen] = fixed[chosen], moving[chosen]
        return moving, fixed

    what = "phantom brains, T1 and T2" if several_modalities else "phantom brains"
    return PairData(draw, parts["val"], parts["test"], what, dict(SAMPLES))


# --- real images -----------------------------------------------------------------------------------------------


def read_image(path: PathLike) -> np.ndarray:
    """Read a grey image (H, W), float32; values from 0 to 1: the brightest and darkest half per cent are cut off.

    Args:
        path: ``.png``, ``.jpg``, ``.dcm``, or ``.mhd``, ``.mha``, ``.nii``, ``.nii.gz`` of one slice.

    Raises:
        ValueError: If the file is missing, unreadable, or no single grey image.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give the paths of two images, moving and fixed")
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        image = _picture(path)
    elif suffix in (*META, *DICOM):
        image = _medical(path)
    else:
        raise ValueError(f"{path} is no image that registration reads; it takes {', '.join(SUFFIXES)}")
    if image.ndim != 2 or min(image.shape) < 16:
        raise ValueError(f"{path} has shape {image.shape}: a single grey image of 16 x 16 pixels or more is needed")
    if not np.isfinite(image).all() or image.min() == image.max():
        raise ValueError(f"{path} shows nothing: all its pixels are {image.flat[0]}, or some are not finite")
    low, high = np.percentile(image, (0.5, 99.5))
    if low == high:
        low, high = image.min(), image.max()
    return np.clip((image - low) / (high - low), 0, 1).astype(np.float32)


def _picture(path: pathlib.Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture if picture.mode.startswith("I") else picture.convert("L"), np.float64)
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is a damaged picture, or none ({error}); fetch or write it again") from error


def _medical(path: pathlib.Path) -> np.ndarray:
    try:
        library: Any = importlib.import_module("SimpleITK")
    except ImportError as error:
        raise ImportError(f'reading {path} needs SimpleITK: pip install "tinymed[medical]"') from error
    library.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        array = library.GetArrayFromImage(library.ReadImage(str(path)))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read; is it damaged, or its data file missing?") from error
    return np.asarray(array, np.float64).squeeze()


def resample(image: np.ndarray, size: int) -> np.ndarray:
    """Return an image (H, W) as (size, size): blurred so that nothing aliases, then interpolated between centres."""
    from scipy import ndimage

    factors = [size / n for n in image.shape]
    if factors == [1, 1]:
        return image
    blur = [max(0.5 / factor - 0.5, 0.0) for factor in factors]
    smooth = ndimage.gaussian_filter(image, blur)
    return np.clip(ndimage.zoom(smooth, factors, order=1, mode="nearest", grid_mode=True), 0, 1).astype(np.float32)


def enlarge(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a displacement field (h, w, 2) for an image of another size, in that image's pixels."""
    from scipy import ndimage

    factors = [n / m for n, m in zip(shape, field.shape[:2], strict=True)]
    larger = ndimage.zoom(field, (*factors, 1), order=1, mode="nearest", grid_mode=True)
    return (larger * np.array(factors)).astype(np.float32)


# --- a file or folder of real images ---------------------------------------------------------------------------

REAL_SIZE = 128
"""Real images are scaled to this height and width: a quarter of the pixels of a 256 x 256 slice."""

DRAWN = 64
"""Training pairs that are drawn in each epoch from real images."""


def read(path: PathLike, size: int | None = None) -> PairData:
    """Read real images.

    Args:
        path: A folder with an image ``fixed.*`` and an image ``moving.*``; or with DICOM slices of several series of
            one patient that fit each other already; or with four images or more of one kind, such as slices of
            several brains. Two of them (of DICOM slices: one slice position) are held out for the test.
        size: Height and width to scale them to; ``REAL_SIZE`` if omitted.

    Raises:
        ValueError: If an image is missing, unreadable, or of another shape than its partner.
    """
    path, size = pathlib.Path(path), REAL_SIZE if size is None else size
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; put the images of one data set into a folder and name that")
    found = sorted(p for p in path.iterdir() if p.is_file() and "".join(p.suffixes[-1:]).lower() in SUFFIXES)
    found = [p for p in found if p.suffix.lower() != ".npz" and "mask" not in p.name.lower()]
    named = {role: [p for p in found if p.name.lower().startswith(role)] for role in ("moving", "fixed")}
    if any(named.values()):
        for role, files in named.items():
            if len(files) != 1:
                raise ValueError(
                    f"{path} must hold one image {role}.* but has {len(files)}; add it, or remove the others"
                )
        return _one_pair(named["moving"][0], named["fixed"][0], size)
    dicom = sorted(path.rglob("*.dcm"))
    if dicom:
        return _aligned(path, dicom, size)
    if len(found) < 4:
        raise ValueError(
            f"{path} has {len(found)} images ({', '.join(SUFFIXES)}); registration needs moving.* and fixed.*, or four "
            "or more images of one kind: two to test with, the others to learn from"
        )
    return _several(found, size)


def load_pair(moving: PathLike, fixed: PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read two images that belong together, each (H, W)."""
    images = read_image(moving), read_image(fixed)
    check_same_size(images[0], images[1], (str(moving), str(fixed)))
    return images


def _one_pair(moving: pathlib.Path, fixed: pathlib.Path, size: int) -> PairData:
    images = [resample(image, size)[None, ..., None] for image in load_pair(moving, fixed)]
    pair = Pairs(images[0], images[1], names=(f"{moving.name} to {fixed.name}",))

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return _deformed(rng, np.repeat(images[0], DRAWN, 0)), _deformed(rng, np.repeat(images[1], DRAWN, 0))

    return PairData(draw, pair, pair, f"{moving.name} and {fixed.name}: the pair that is learned from is the test", {})


def _several(found: list[pathlib.Path], size: int) -> PairData:
    images = [read_image(path) for path in found]
    for image, path in zip(images, found, strict=True):
        check_same_size(image, images[0], (str(path), str(found[0])))
    stack = np.stack([resample(image, size) for image in images])[..., None]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(found))
    held, kept = sorted(order[:2]), sorted(order[2:])

    def some(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        first = rng.choice(kept, count)
        second = np.array([rng.choice([k for k in kept if k != i]) for i in first])
        moving, fixed = stack[first], stack[second]
        mirrored = rng.random(count) < 0.5
        moving[mirrored], fixed[mirrored] = moving[mirrored][:, :, ::-1], fixed[mirrored][:, :, ::-1]
        return _deformed(rng, moving), _deformed(rng, fixed)

    names = [found[i].name for i in held]
    test = Pairs(stack[held], stack[held[::-1]], names=(f"{names[0]} to {names[1]}", f"{names[1]} to {names[0]}"))
    split = {"train": [found[i].name for i in kept], "test": names}
    drawn = some(np.random.default_rng(SPLIT_SEED), 16)
    return PairData(lambda rng: some(rng, DRAWN), Pairs(drawn[0], drawn[1]), test, f"{len(found)} images", split)


def _aligned(folder: pathlib.Path, found: list[pathlib.Path], size: int) -> PairData:
    """Take slices of several modalities that show the same place, and deform them: the truth is then known."""
    slices: dict[float, dict[str, np.ndarray]] = {}
    for path in found:
        place, series = _where(path)
        if place is not None:
            slices.setdefault(place, {})[series] = resample(read_image(path), size)
    slices = {place: kinds for place, kinds in sorted(slices.items()) if len(kinds) > 1}
    if len(slices) < 2:
        raise ValueError(
            f"{folder}: no two slice positions are there in two series or more; registration of modalities needs them"
        )
    places = list(slices)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(places))
    held, kept = places[order[0]], [places[i] for i in order[1:]]

    def some(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        moving, fixed = [], []
        for _ in range(count):
            kinds = slices[kept[rng.integers(len(kept))]]
            a, b = rng.choice(list(kinds), 2, replace=False)
            turn = np.s_[:, ::-1] if rng.random() < 0.5 else np.s_[:, :]
            moving.append(kinds[a][turn])
            fixed.append(kinds[b][turn])
        return tuple(_deformed(rng, np.stack(images)[..., None]) for images in (moving, fixed))  # type: ignore[return-value]

    rng = np.random.default_rng(SPLIT_SEED)
    kinds = slices[held]
    both = [(a, b) for a in kinds for b in kinds if a != b]
    moving, fixed = (np.stack([kinds[pair[k]] for pair in both])[..., None] for k in (0, 1))
    head = np.stack([np.mean([kinds[k] for k in kinds], axis=0) > 0.1] * len(both))[..., None]
    truth = deformations.smooth_field(rng, (size, size), len(both), MEAN * size / SIZE, SIGMA * size / SIZE)
    inside = warp(head.astype(np.float32), truth)[0][..., 0] > 0.5
    names = tuple(f"{a} to {b}" for a, b in both)
    test = Pairs(moving, warp(fixed, truth)[0], truth, inside, names)
    split = {"train": [f"{place:.1f} mm" for place in sorted(kept)], "test": [f"{held:.1f} mm"]}
    drawn = some(rng, 16)
    about = f"{len(slices)} slice positions, {len(kinds)} modalities of one patient, with known deformations"
    return PairData(lambda rng: some(rng, DRAWN), Pairs(drawn[0], drawn[1]), test, about, split)


def _where(path: pathlib.Path) -> tuple[float | None, str]:
    """Return the height of a DICOM slice, and what its series is called."""
    try:
        dicom: Any = importlib.import_module("pydicom")
    except ImportError as error:
        raise ImportError(f'reading {path} needs pydicom: pip install "tinymed[medical]"') from error
    try:
        header = dicom.dcmread(path, stop_before_pixels=True)
        position = getattr(header, "ImagePositionPatient", None)
    except Exception as error:
        raise ValueError(f"{path} is no readable DICOM file ({error})") from error
    series = str(getattr(header, "SeriesDescription", "")) or path.parent.name
    return (None if position is None else round(float(position[2]), 1)), series


def _deformed(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Return images with a deformation of their own each, so that a few of them are enough to learn from."""
    size = images.shape[1]
    fields = deformations.smooth_field(rng, (size, size), len(images), 2.0 * size / REAL_SIZE, size / 8)
    return warp(images, fields * rng.uniform(0, 2, (len(images), 1, 1, 1)).astype(np.float32))[0]


def load_pairs(path: PathLike, size: int | None) -> Pairs:
    """Read pairs from an ``.npz`` file with ``moving`` and ``fixed``, and ``truth`` and ``inside`` where known.

    Args:
        path: The file; images (N, H, W), (N, H, W, 1) or a single (H, W), with values from 0 to 1 or 0 to 255.
        size: Height and width that they must have; any if None.

    Raises:
        ValueError: If an array is missing, or shapes do not belong together.
    """
    arrays = read_npz(path)
    for name in ("moving", "fixed"):
        if name not in arrays:
            raise ValueError(
                f"{path} has no array {name!r} but {', '.join(sorted(arrays))}; a pair is moving and fixed"
            )
    stacks = []
    for name in ("moving", "fixed"):
        image = arrays[name]
        image = image[None] if image.ndim == 2 else image
        image = image[..., None] if image.ndim == 3 else image
        if image.ndim != 4 or image.shape[3] != 1 or not image.size:
            raise ValueError(f"{path}, {name}: expected grey images (N, H, W, 1) but found shape {arrays[name].shape}")
        stacks.append(unit_range(image, f"{path}, {name}"))
    moving, fixed = stacks
    if moving.shape != fixed.shape:
        raise ValueError(
            f"{path}: moving has shape {moving.shape} but fixed {fixed.shape}; each pair needs two images of one size"
        )
    if size is not None and moving.shape[1:3] != (size, size):
        raise ValueError(
            f"{path}: the model takes images of {size} x {size} but found {moving.shape[1]} x {moving.shape[2]}"
        )
    truth, inside = arrays.get("truth"), arrays.get("inside")
    if truth is not None and truth.shape != (*moving.shape[:3], 2):
        raise ValueError(f"{path}: truth has shape {truth.shape}; expected {(*moving.shape[:3], 2)}, pixels")
    return Pairs(moving, fixed, truth, inside)
