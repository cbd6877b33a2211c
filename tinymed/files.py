"""Files that are either the old ones or the new ones, never half of one.

Everything that writes a result goes through this module: it writes beside the destination, makes sure
that the bytes have reached the disk, and renames. A crash, a full disk or Ctrl-C leaves what was there before.

>>> import tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> write_text(folder / "note.txt", "whole")
>>> (folder / "note.txt").read_text()
'whole'
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def atomic(path: PathLike) -> Iterator[pathlib.Path]:
    """Lend a path beside ``path``; what is written there replaces ``path`` when the block ends without an error.

    For libraries that open their files themselves (matplotlib, safetensors). The lent name keeps the suffix,
    folders that are missing are made, and a link keeps pointing where it points.

    Args:
        path: Where the finished file shall be.

    Yields:
        The path to write to.
    """
    destination = pathlib.Path(path).resolve()
    destination.parent.mkdir(parents=True, exist_ok=True)
    beside = destination.with_name(f".{destination.stem[:100]}.{secrets.token_hex(6)}{destination.suffix}")
    try:
        yield beside
        if destination.exists():
            with contextlib.suppress(OSError):  # permissions are worth keeping, not worth failing for
                beside.chmod(destination.stat().st_mode & 0o7777)
        _sync(beside)
        os.replace(beside, destination)
        _sync_folder(destination.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_open(path: PathLike, mode: str = "wb", **options: Any) -> Iterator[Any]:
    """Open ``path`` for writing as :func:`open` does; the file appears, whole, when the block ends without an error.

    Args:
        path: Where the finished file shall be.
        mode: ``"wb"`` or ``"w"`` (text is UTF-8 unless ``options`` say otherwise).
        **options: Passed to :func:`open`.

    Yields:
        The open file.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"atomic_open writes new files: mode must be 'wb' or 'w', got {mode!r}")
    if mode == "w":
        options.setdefault("encoding", "utf-8")
    with atomic(path) as beside, open(beside, mode, **options) as file:
        yield file


def write_bytes(path: PathLike, data: bytes) -> None:
    """Write ``data`` to ``path`` in one piece."""
    with atomic_open(path) as file:
        file.write(data)


def write_text(path: PathLike, text: str) -> None:
    r"""Write ``text`` to ``path`` in one piece, as UTF-8 with ``\n`` line ends on every system."""
    write_bytes(path, text.encode("utf-8"))


def _sync(path: pathlib.Path) -> None:
    """Wait until the contents of a file are on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: pathlib.Path) -> None:
    """Wait until a folder's names are on the disk, on systems that can (Windows cannot)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot sync a folder
        pass
    finally:
        os.close(descriptor)
