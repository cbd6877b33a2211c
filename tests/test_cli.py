"""The command line: what it prints, its exit status, and one clear line for every error."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import tinymed
from tinymed import cuda, gradcheck
from tinymed.applications import nodules
from tinymed.cli import app


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a trained model's folder, through the command itself."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    samples = nodules.SAMPLES
    nodules.SAMPLES = {"train": 64, "val": 32, "test": 32}
    try:
        result = CliRunner().invoke(app, ["train", "nodules", "--epochs", "1", "--out", str(folder)])
    finally:
        nodules.SAMPLES = samples
    assert result.exit_code == 0, result.output
    return folder, result


def refused(arguments, *words, status=1):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    assert not isinstance(result.exception, ValueError | OSError)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tinymed: ")
    for word in words:
        assert word in lines[0], lines[0]


def test_help_answers_at_once():
    start = time.perf_counter()
    code = (
        "import sys; from tinymed.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'numba', 'scipy', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")
    assert "train" in result.stdout
    assert time.perf_counter() - start < 10


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == f"tinymed {tinymed.__version__}"
    assert result.exit_code == 0


def test_train_summarizes(run):
    folder, result = run
    for word in ("accuracy", "AUC", "nodule", "metrics.json", "tinymed predict"):
        assert word in result.output, result.output
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 1


def test_predict_prints_class_and_probability(run):
    folder, _ = run
    result = CliRunner().invoke(app, ["predict", str(folder / "model.safetensors"), str(folder / "examples.npz")])
    assert result.exit_code == 0, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 16
    assert "examples.npz[0]" in lines[0]
    assert 0.5 <= float(lines[0].split()[-1]) <= 1


def test_evaluate_prints_the_numbers(run):
    folder, _ = run
    result = CliRunner().invoke(
        app, ["evaluate", str(folder / "model.safetensors"), "--data", str(folder / "examples.npz")]
    )
    assert result.exit_code == 0, result.output
    for word in ("accuracy", "precision", "recall", "F1", "AUC", "as no nodule"):
        assert word in result.output


def test_gradcheck_passes_on_its_arguments_and_status(monkeypatch):
    seen = []
    monkeypatch.setattr(gradcheck, "run", lambda names, **options: (seen.append((names, options)), 1)[1])
    assert CliRunner().invoke(app, ["gradcheck", "dense", "relu", "--html", "x.html"]).exit_code == 1
    assert seen == [(["dense", "relu"], {"backend": None, "html": "x.html"})]
    monkeypatch.setattr(gradcheck, "run", lambda names, **options: 0)
    assert CliRunner().invoke(app, ["gradcheck"]).exit_code == 0


def test_gradcheck_faults(monkeypatch):
    monkeypatch.setattr(gradcheck, "demonstrate_faults", lambda: 0, raising=False)
    assert CliRunner().invoke(app, ["gradcheck", "--faults"]).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "digits", "--out", "nowhere"],
        ["evaluate", "model.safetensors", "--data", "data.npz"],
        ["predict", "model.safetensors", "image.png"],
        ["explain", "model.safetensors", "image.png"],
        ["crossvalidate", "nodules", "--out", "nowhere"],
        ["gradcheck", "dense"],
        ["gradcheck", "--faults"],
        ["bench", "P0"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_every_command_says_why_a_gpu_cannot_be_had(arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cuda, "_computes", False)
    monkeypatch.setattr(cuda, "probe", lambda: "CUDARuntimeError: cudaErrorInsufficientDriver")
    monkeypatch.setattr(cuda, "driver", lambda: None)
    refused([*arguments, "--backend", "cupy"], "'cupy' cannot run here", "no NVIDIA driver", "to mend it")
    assert not list(tmp_path.iterdir())


def test_commands_run_on_the_backend_they_are_told(run):
    model, examples = (str(run[0] / name) for name in ("model.safetensors", "examples.npz"))
    for command in (["predict", model, examples], ["evaluate", model, "--data", examples]):
        here, there = (CliRunner().invoke(app, [*command, "--backend", name]) for name in ("numpy", "array_api_strict"))
        assert there.exit_code == 0, there.output
        assert here.output.split()[:3] == there.output.split()[:3]


def test_gradcheck_for_real():
    result = CliRunner().invoke(app, ["gradcheck", "dense"])
    assert result.exit_code == 0, result.output
    assert "dense" in result.output


def test_bench_prints_a_table_and_draws_it(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "tinymed.bench.bench", lambda *given: (seen.append(given), {"P0": {"textbook": 300.0, "kernels": 60.0}})[1]
    )
    result = CliRunner().invoke(app, ["bench", "P0", "--seconds", "0.5", "--out", str(tmp_path / "bench.png")])
    assert result.exit_code == 0, result.output
    assert seen == [(["P0"], 0.5, tmp_path / "bench.png")]
    for word in ("textbook", "kernels", "5.0", "bench.png"):
        assert word in result.output


# --- errors ----------------------------------------------------------------------------------------------------


def test_unknown_names():
    refused(["train", "nodule"], "unknown task 'nodule'", "did you mean 'nodules'?")
    refused(["gradcheck", "dens"], "did you mean", "ense'")
    refused(["bench", "P9"], "unknown network 'P9'")
    refused(["train", "nodules", "--backend", "cupyy"], "backend 'cupyy' is not available")


def test_files_of_train(tmp_path):
    refused(["train", "pneumonia"], "--data FILE.npz")
    refused(["train", "pneumonia", "--data", tmp_path / "none.npz"], "no such file", "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 damaged")
    refused(["train", "pneumonia", "--data", tmp_path / "bad.npz"], "bad.npz", "fetch it again")
    np.savez(tmp_path / "evil.npz", train_images=np.array([{}], dtype=object))
    refused(["train", "pneumonia", "--data", tmp_path / "evil.npz"], "pickle", "refused")


def test_a_reader_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for case in range(6):
            (tmp_path / folder / f"case_{case}.nii.gz").write_bytes(b"")
    refused(["train", "segmentation", "--data", tmp_path], "nibabel", "tinymed[medical]")


def test_options_of_train():
    refused(["train", "nodules", "--epochs", "0"], "epochs must be a whole number from 1, got 0")
    refused(["train", "nodules", "--learning-rate", "nan"], "learning_rate")
    refused(["train", "nodules", "--seed", "-1"], "seed")


def test_usage_errors_have_status_2_and_no_traceback():
    for arguments in (["trian"], ["train"], ["train", "nodules", "--epochs", "many"], ["train", "nodules", "--nope"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output


def test_models_and_images(run, tmp_path):
    folder, _ = run
    model = folder / "model.safetensors"
    refused(["predict", tmp_path / "none.safetensors", "x.png"], "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing like it")
    refused(["predict", tmp_path / "bad.safetensors", "x.png"], "bad.safetensors", "damaged")
    refused(["predict", model, tmp_path / "none.png"], "no such file")
    (tmp_path / "text.png").write_text("text")
    refused(["predict", model, tmp_path / "text.png"], "no image")
    np.savez(tmp_path / "small.npz", images=np.zeros((2, 32, 32, 3), np.uint8))
    refused(
        ["predict", model, tmp_path / "small.npz"], "expected an image of 64 x 64 x 3", "found 32 x 32 x 3", "--resize"
    )
    refused(["evaluate", model, "--data", tmp_path / "small.npz"], "no array 'test_images'")
    refused(["evaluate", model, "--data", folder / "examples.npz", "--split", "tets"], "unknown split 'tets'")


def test_a_reader_that_stops_reading_is_no_error(run):
    folder, _ = run
    arguments = ["predict", str(folder / "model.safetensors"), str(folder / "examples.npz")]
    code = f"from tinymed.cli import app; app({arguments!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        command.stdout.close()
        assert command.stderr.read() == ""


def test_interrupted(monkeypatch):
    def interrupt(**options):
        error = KeyboardInterrupt()
        error.__notes__ = ["what was finished before that is in there"]
        raise error

    monkeypatch.setattr(nodules, "train", interrupt)
    refused(["train", "nodules"], "interrupted", "is in there", status=130)


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv("TINYMED_TRACEBACK", "1")
    result = CliRunner().invoke(app, ["train", "nodule"])
    assert isinstance(result.exception, ValueError)
