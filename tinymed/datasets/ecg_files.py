"""Readers of electrocardiograms: PhysioNet's WFDB records, and ``.npz`` files.

A WFDB record is three files of one name: the header ``100.hea``, the samples ``100.dat`` and the annotations
``100.atr``, in which people have marked every beat. Reading them needs the library wfdb (``tinymed[medical]``).
An ``.npz`` file holds ``signal`` (in mV), ``rate`` (samples in a second) and, if known, ``beats`` (sample numbers).

Goldberger et al., Circulation 101, 2000 (PhysioNet); Moody & Mark, IEEE Eng. Med. Biol. 20, 2001 (the MIT-BIH records).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinymed import files
from tinymed.datasets import medmnist
from tinymed.datasets.ecg import Record

BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")
"""Annotations that mark a beat, by the letters of the WFDB format; all others mark rhythm, noise and so on."""

GAPS = 0.01
"""The part of the samples that may be missing; so few are filled in along a straight line."""

_PARTS = (".hea", ".dat", ".mat", ".atr")


def read(path: str | os.PathLike[str], lead: int | str = 0) -> Record:
    """Read one lead of a record.

    Args:
        path: A WFDB record, named by one of its files or without any ending, or an ``.npz`` file. SciPy's
            ``ecg.dat`` (an ``.npz`` file in disguise: 5 minutes of MIT-BIH record 208) is known too.
        lead: Which lead of a WFDB record, its number from 0 or its name.

    Returns:
        The record; its ``beats`` are None if there are no annotations.

    Raises:
        ImportError: If the record is in the WFDB format and wfdb is not installed.
        ValueError: If a file is missing, damaged, empty, or does not say its rate.
    """
    path = pathlib.Path(path)
    if _is_npz(path):
        return _read_npz(path)
    return _read_wfdb(path, lead)


def read_all(path: str | os.PathLike[str], lead: int | str = 0) -> list[Record]:
    """Read a record, or all records of a folder that have annotations; for training and testing.

    Raises:
        ValueError: If there is none, or a record that was named has no annotations.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        found = [file for file in sorted(path.glob("*.hea")) if file.with_suffix(".atr").exists()]
        records = [read(file, lead) for file in [*found, *sorted(path.glob("*.npz"))]]
        records = [record for record in records if record.beats is not None]
        if not records:
            raise ValueError(f"{path} holds no record with annotations: put NAME.hea, NAME.dat and NAME.atr there")
        return records
    record = read(path, lead)
    if record.beats is None:
        beside = path.with_suffix(".atr") if path.suffix in _PARTS else path.with_name(path.name + ".atr")
        mend = "add beats=... to numpy.savez" if _is_npz(path) else f"put {beside} beside it"
        raise ValueError(
            f"{path} has no annotations: nobody has marked its beats, so it can be predicted on but neither trained "
            f"nor tested with; {mend}"
        )
    return [record]


def save(path: files.PathLike, record: Record) -> None:
    """Write a record to an ``.npz`` file that :func:`read` reads."""
    arrays = {"signal": record.signal, "rate": np.float64(record.rate), "lead": np.str_(record.lead)}
    if record.beats is not None:
        arrays["beats"] = record.beats
    with files.atomic_open(path) as file:
        np.savez_compressed(file, **arrays)


def _is_npz(path: pathlib.Path) -> bool:
    return path.suffix == ".npz" or (path.is_file() and zipfile.is_zipfile(path))


# --- .npz files ------------------------------------------------------------------------------------------------


def _read_npz(path: pathlib.Path) -> Record:
    arrays = medmnist.read_npz(path)
    if set(arrays) == {"ecg"}:  # SciPy's, scaled as scipy.datasets.electrocardiogram says
        return _record(path, path.name, (arrays["ecg"].astype(np.float32) - 1024) / 200, 360.0, None, "MLII")
    for key, meaning in (("signal", "the voltage in mV"), ("rate", "how many samples a second has")):
        if key not in arrays:
            raise ValueError(f"{path} does not say {meaning}: add {key}=... to numpy.savez")
    if arrays["rate"].size != 1:
        raise ValueError(f"{path}: rate must be one number, samples in a second, but has shape {arrays['rate'].shape}")
    rate = float(arrays["rate"].reshape(()))
    return _record(path, path.name, arrays["signal"], rate, arrays.get("beats"), str(arrays.get("lead", "unknown")))


# --- WFDB records ----------------------------------------------------------------------------------------------


def _read_wfdb(path: pathlib.Path, lead: int | str) -> Record:
    stem = path.with_suffix("") if path.suffix in _PARTS else path
    header = stem.with_name(stem.name + ".hea")
    if not header.is_file():
        other = "any other record can come as an .npz file with signal and rate"
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name one of its records (NAME.hea), {other}")
        if path.is_file() and path.suffix not in _PARTS:
            raise ValueError(f"{path} is no electrocardiogram; name a WFDB record by its header (NAME.hea), {other}")
        raise ValueError(
            f"{path}: no such record; a WFDB record needs its header {header.name} beside its samples, and {other}"
        )
    wfdb = _wfdb(header)
    lines = [line.split() for line in header.read_text("utf-8", "replace").splitlines() if not line.startswith("#")]
    if not any(lines):
        raise ValueError(f"{header} is empty; fetch it again")
    first = next(line for line in lines if line)
    if len(first) < 3:  # the format would have it be 250; an interval that is wrong by half is worse than an error
        raise ValueError(f"{header} does not say how many samples a second has: add it as the third word of line 1")
    if len(first) > 3 and first[3] == "0":
        raise ValueError(f"{header}: the record is empty (0 samples)")
    try:
        with _quiet():
            names = [str(name) for name in wfdb.rdheader(str(stem)).sig_name or []]
    except Exception as error:  # wfdb checks little: damage can show as any error
        raise ValueError(f"{header} is damaged ({error}); fetch it again") from error
    place = names.index(lead) if isinstance(lead, str) and lead in names else lead
    if not isinstance(place, int) or not 0 <= place < len(names):
        raise ValueError(f"{header} has no lead {lead!r}; its leads are {', '.join(names) or 'none'}")
    try:
        with _quiet():
            raw = wfdb.rdrecord(str(stem), channels=[place])
        signal = raw.p_signal[:, 0]
    except FileNotFoundError as error:
        raise ValueError(f"{header} names a file that is not beside it: {error.filename}; fetch it too") from error
    except Exception as error:
        raise ValueError(f"the samples that {header} names are damaged ({error}); fetch them again") from error
    return _record(header, stem.name, signal, float(raw.fs), _annotated(wfdb, stem), names[place])


def _annotated(wfdb: Any, stem: pathlib.Path) -> np.ndarray | None:
    """Return the samples marked as beats, None if there is no annotation file."""
    path = stem.with_name(stem.name + ".atr")
    if not path.is_file():
        return None
    try:
        with _quiet():
            marks = wfdb.rdann(str(stem), "atr")
    except Exception as error:
        raise ValueError(f"{path} is damaged ({error}); fetch it again") from error
    beats = [sample for sample, mark in zip(marks.sample, marks.symbol, strict=True) if mark in BEATS]
    if not beats:
        raise ValueError(f"{path} marks no beat; fetch it again, or move it away to predict on the record")
    return np.asarray(beats)


def _wfdb(path: pathlib.Path) -> Any:
    try:
        with _quiet():
            import wfdb
    except ImportError as error:
        raise ImportError(f'reading {path} needs wfdb: pip install "tinymed[medical]"') from error
    return wfdb


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings about what wfdb uses of pandas, and what pandas is about to drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- checks ----------------------------------------------------------------------------------------------------


def _record(path: pathlib.Path, name: str, signal: Any, rate: float, beats: Any, lead: str) -> Record:
    """Make a record of what was read, or raise ValueError if it is none."""
    signal = np.asarray(signal)
    if signal.ndim == 2 and 1 in signal.shape:
        signal = signal.reshape(-1)
    if signal.ndim != 1 or signal.dtype.kind not in "iuf":
        raise ValueError(f"{path}: the signal must be the numbers of one lead (T,), got {signal.dtype} {signal.shape}")
    if not len(signal):
        raise ValueError(f"{path}: the record is empty (0 samples)")
    if not 0 < rate < float("inf"):
        raise ValueError(f"{path}: the rate must be positive samples in a second, got {rate:g}")
    if beats is not None:
        beats = np.asarray(beats)
        if beats.ndim != 1 or not len(beats) or beats.dtype.kind not in "iu":
            raise ValueError(f"{path}: no beat is marked; beats must be the numbers of samples (beats,)")
        beats = np.sort(beats).astype(np.int64)
        if beats[0] < 0 or beats[-1] >= len(signal):
            raise ValueError(f"{path}: a beat is marked outside the record of {len(signal)} samples")
    return Record(name, _filled(signal.astype(np.float32), path), rate, beats, lead)


def _filled(signal: np.ndarray, path: pathlib.Path) -> np.ndarray:
    """Return the signal with the few samples that are missing drawn along a straight line."""
    missing = ~np.isfinite(signal)
    if missing.mean() > GAPS:
        raise ValueError(f"{path}: {missing.mean():.0%} of the samples are missing; choose another lead or part")
    if missing.any():
        known = np.flatnonzero(~missing)
        signal[missing] = np.interp(np.flatnonzero(missing), known, signal[known])
    return signal
