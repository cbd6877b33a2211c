"""The doctor: what it finds, what it prints, and how to mend what is missing."""

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

import tinymed
from tests.test_cuda import GOOD, RIGHT
from tinymed import cuda, diagnosis
from tinymed.cli import app
from tinymed.cuda import Facts
from tinymed.diagnosis import ABSENT, BAD, Finding, findings


def lines(console):
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.fixture
def console():
    return Console(record=True, width=120, file=io.StringIO())


def by_name(known=None):
    return {finding.what: finding for finding in findings(known or Facts(None))}


def test_it_names_machine_packages_threads_kernels_and_readers():
    found = by_name()
    assert {"system", "processor", "Python", "numpy", "numba", "threads", "kernels", "CuPy", "pydicom"} <= set(found)
    assert "core" in found["processor"].text
    assert found["backend"].text == "numpy (the default)"
    assert not [finding for finding in found.values() if finding.state == BAD]


def test_a_card_is_shown_and_said_to_compute(monkeypatch):
    monkeypatch.setattr(cuda, "compiler", lambda: "12.9")
    found = by_name(Facts(GOOD, RIGHT))
    assert found["card 0"].text == "NVIDIA H200, 141 GB, compute capability 9.0"
    assert found["driver"].text == "550.54.15, runs CUDA up to 12.4"
    assert found["kernel compiler"].text == "NVRTC 12.9"
    assert "--backend cupy" in found["verdict"].text and not found["verdict"].remedy


def test_why_there_is_no_gpu_and_what_to_do():
    found = by_name(Facts(GOOD, {}))
    assert (found["verdict"].text, found["verdict"].state) == ("CuPy is not installed", ABSENT)
    assert 'install "cupy-cuda12x[ctk]>=14"' in found["verdict"].remedy


def test_a_missing_package_and_a_missing_reader(monkeypatch):
    real = diagnosis._version
    monkeypatch.setattr(diagnosis, "_version", lambda name: "" if name in ("scipy", "wfdb", "nibabel") else real(name))
    found = by_name()
    assert found["scipy"].state == BAD and found["scipy"].remedy.endswith("pip install scipy")
    assert found["nibabel"].state == ABSENT and found["nibabel"].remedy.endswith("pip install nibabel wfdb")
    assert not found["wfdb"].remedy, "one line for all that is missing"


def test_kernels_that_are_not_compiled(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert "everything is slow" in by_name()["kernels"].text
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kept"))
    assert by_name()["kernels"].text == f"compiled when first used, then kept in {tmp_path / 'kept'}"
    (tmp_path / "kept" / "a").mkdir(parents=True)
    (tmp_path / "kept" / "a" / "conv.nbi").touch()
    assert by_name()["kernels"].text.startswith("1 kept in")
    monkeypatch.setattr(diagnosis.os, "access", lambda *_: False)
    assert "NUMBA_CACHE_DIR" in by_name()["kernels"].remedy


def test_a_backend_that_was_asked_for_and_cannot_run(monkeypatch):
    reason = "backend 'cupy' cannot run here: no driver; to mend it: install one"

    def refuse():
        raise ValueError(reason)

    monkeypatch.setattr("tinymed.backend.get_backend", refuse)
    found = by_name()["backend"]
    assert (found.text, found.state, found.remedy) == ("'cupy' cannot run here: no driver", BAD, "install one")


def test_what_is_printed(console, monkeypatch):
    monkeypatch.setattr(cuda, "facts", lambda: Facts(GOOD, {}))
    assert tinymed.doctor(console) is True
    text = lines(console)
    assert any(line.startswith("–") and "CuPy is not installed" in line for line in text)
    assert any(line.startswith("✓") and "tinymed" in line for line in text)
    assert text[-1].startswith("GPU (if you want it): ") and "cupy-cuda12x" in text[-1]


def test_what_is_needed_comes_last_and_once(console):
    both = [
        Finding("a", "reader", "not installed", ABSENT, "line one"),
        Finding("a", "verdict", "no driver", ABSENT, "line two"),
        Finding("b", "backend", "no driver", BAD, "line two"),
    ]
    for part in diagnosis._printed(both):
        console.print(part)
    assert lines(console)[-2:] == ["reader (if you want it): line one", "backend (needed): line two"]


def test_at_the_command_line(monkeypatch):
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "numpy" in result.output and "verdict" in result.output
    monkeypatch.setattr(diagnosis, "findings", lambda: [Finding("a", "numpy", "not installed", BAD, "pip")])
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1
