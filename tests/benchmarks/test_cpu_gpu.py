"""The benchmark of processor against GPU, as far as it can be tried without a card."""

import json
import time

import numpy as np
import pytest

from benchmarks import card_pictures, card_report, cpu_gpu
from benchmarks.card_programs import TinymedSteps
from benchmarks.clocks import HostClock, attempted, measured, once, warmed
from benchmarks.networks import batches, find
from benchmarks.sized_operations import ROWS, SizedOperations
from tests.benchmarks import made_up
from tinymed import cuda
from tinymed.cuda import Facts
from tinymed.ops import REGISTRY

# --- without a card ------------------------------------------------------------------------------------------------


def test_without_a_card_it_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(cuda, "probe", lambda: "CUDARuntimeError: no driver")
    monkeypatch.setattr(cuda, "facts", lambda failure: Facts(None, {}))
    assert cpu_gpu.main([]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("benchmarks.cpu_gpu: no GPU to measure: no NVIDIA driver is installed")
    assert "pip cannot bring it" in line


@pytest.mark.parametrize(
    ("given", "words"),
    [(["--networks", "P9"], "unknown network 'P9'; there are P0"), (["--batches", "32,many"], "whole numbers")],
)
def test_wrong_arguments(given, words, capsys):
    with pytest.raises(SystemExit):
        cpu_gpu.main(given)
    assert words in capsys.readouterr().err


def test_everything_but_the_card(monkeypatch, tmp_path):
    """The whole benchmark in its shortest form, with the processor in the card's place."""
    monkeypatch.setattr(cpu_gpu, "CARD", "numpy")
    monkeypatch.setattr(cpu_gpu, "QUICK", ("relu",))
    monkeypatch.setattr(cpu_gpu, "AGREEING", {"P3": 2})
    monkeypatch.setattr(cpu_gpu, "SWEPT", {"P3": (1, 2)})
    short = [
        "--quick",
        "--threads",
        "1",
        "--libraries",
        "tinymed",
        "--networks",
        "P3",
        "--batches",
        "4",
        "--minutes",
        "9999",
    ]
    assert cpu_gpu.main([*short, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "cpu_gpu.json").read_text())
    results, page = found["results"], (tmp_path / "cpu_gpu.md").read_text()
    assert set(results["networks"]["P3"]["batches"]["4"]) == {"CPU", "GPU", "GPU, not recorded"}
    assert results["agreement"]["P3"]["apart"] == 0 and len(results["agreement"]["P3"]["losses"]["GPU"]) == 10
    assert results["operations"]["relu"]["samples"] == [1, 4, 16] and set(results["peaks"]) == {"CPU", "GPU"}
    assert results["precision"] == "float32" and "TF32 off" in page and "was not recorded: only CUDA" in page
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {f"cpu_gpu_{name}.png" for name in ("networks", "crossover", "operations", "roofline")}


# --- the parts, with contenders that answer what they are told -----------------------------------------------------


class Toy:
    """A contender in this process."""

    def __init__(self, losses=(1.0, 0.9, 0.8), ms=1.0, fails=False, refuses=None):
        self.given, self.ms, self.fails, self.refusal = list(losses), ms, fails, refuses
        self.asked = []

    def call(self, name, *arguments):
        self.asked.append((name, *arguments))
        if name == "refuses":
            return self.refusal
        if name != "attempt":
            return None
        if self.fails:
            return {"error": "RuntimeError: wrong on purpose"}
        return {"value": self.given if arguments[0] == "losses" else {"step": self.ms * arguments[1], "compile": 0.0}}


@pytest.fixture
def bench():
    options = cpu_gpu.common.parsed(cpu_gpu.parser(), ["--quick", "--threads", "1"])
    options.batches = [32, 256]
    return cpu_gpu.Bench(options)


def test_who_disagrees_refuses_or_fails_is_named_and_not_timed(bench):
    bench.workers = {
        "CPU": Toy(), "GPU": Toy(), "PyTorch": Toy(losses=(1.0, 0.9, 0.82)),
        "PyTorch, channels last": Toy(fails=True), "PyTorch, compiled": Toy(refuses="it unrolls the loop"),
    }  # fmt: skip
    bench.network("P3", "weights.npz", made_up.FACTS)
    found = bench.results["networks"]["P3"]
    assert set(found["batches"]["32"]) == set(found["batches"]["256"]) == {"CPU", "GPU", "GPU, not recorded"}
    assert found["disagree"]["PyTorch"] == pytest.approx(0.02)
    assert bench.results["absent"]["PyTorch, compiled, P3"] == "it unrolls the loop"
    assert any("wrong on purpose" in why for why in bench.results["absent"].values())
    assert card_report.disagrees(bench.results)
    assert "the first losses of PyTorch are 2.0e-02 away" in card_report.report(bench.results, {})
    recorded = {call[-1] for call in bench.workers["GPU"].asked if call[:2] == ("attempt", "measure")}
    assert recorded == {True, False}


def test_steps_that_would_take_too_long_are_left_out(bench):
    bench.workers = {"CPU": Toy(ms=100.0), "GPU": Toy()}
    bench.network("P4a", "weights.npz", made_up.FACTS)
    assert "CPU" not in bench.results["networks"]["P4a"]["batches"]["256"]
    assert bench.results["left out"] == ["P4a, batch 256: CPU (a step would take too long)"]


def test_what_does_not_fit_into_the_time_is_left_out_and_named(bench):
    bench.workers, bench.deadline.seconds = {"CPU": Toy(), "GPU": Toy()}, -1.0
    bench.network("P3", "weights.npz", made_up.FACTS)
    bench.sweep("P3", "weights.npz")
    assert not bench.results["sweeps"] and len(bench.results["left out"]) == 7
    assert "Left out for time: P3, batch 32: CPU;" in card_report.report(bench.results, {})


def test_losses_are_compared_for_a_hundred_steps(bench):
    bench.options.quick = False
    bench.workers = {"CPU": Toy(losses=np.ones(100)), "GPU": Toy(losses=np.ones(100) + 2e-4)}
    bench.agreement("P3", "weights.npz")
    assert bench.workers["GPU"].asked[-1] == ("attempt", "losses", 32, 100)
    assert not bench.results["agreement"]["P3"]["ok"] and card_report.disagrees(bench.results)
    assert ("P3: losses of both devices within 1e-4", "2.0e-04 over 100 steps", False) in card_report.goals(
        bench.results
    )


def test_growing_batches_find_their_crossover(bench):
    class Constant(Toy):
        def call(self, name, *arguments):
            return {"value": {"step": self.ms}} if name == "attempt" else None

    bench.workers = {"CPU": Toy(ms=1.0), "GPU": Constant(ms=4.0)}
    bench.options.quick = False
    bench.sweep("P3", "weights.npz")
    assert bench.results["sweeps"]["P3"]["crossover"] == 4


# --- contenders on the processor -----------------------------------------------------------------------------------


def test_steps_of_tinymed_are_those_of_fit():
    steps = TinymedSteps("numpy")
    with cpu_gpu.started("P3") as (path, facts):
        steps.open("P3", path)
        found = steps.losses(4, 4)
        again = steps.losses(4, 2, recorded=False)
        figures = steps.measure(4, 0.01)
        model = steps._model()
    wanted = [model.train_on_batch(x, y)[0] for x, y in [*batches(find("P3"), 3, 4), *batches(find("P3"), 1, 4)]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert again == found[:2]
    assert figures["step"] > 0 and figures["device"] is None and "only CUDA" in figures["reason"]
    assert facts["weights"] == model.count_params() and facts["flops"] > 1e6 and facts["activations"] > 26 * 26 * 32


def test_every_operation_has_a_row_that_runs(tmp_path):
    assert set(ROWS) == set(REGISTRY)
    operations = SizedOperations("numpy")
    for op in ROWS:
        with np.errstate(all="raise", under="ignore"):
            operations.save(op, 2, str(tmp_path / "x.npz"))
        with np.load(tmp_path / "x.npz") as file:
            assert all(np.isfinite(file[key]).all() for key in file), op


def test_a_sweep_stops_when_it_takes_too_long():
    operations = SizedOperations("numpy")
    rows = operations.sweep("relu", (1, 2, 4), 0.0, 10.0)
    assert [row["values"] for row in rows] == [2**14, 2**15, 2**16] and rows[0]["bytes"] == 4 * 2**15
    assert len(operations.sweep("relu", (1, 2, 4), 0.0, 0.0)) == 1
    assert operations.sweep("dense", (3,), 0.0, 1.0)[0]["flops"] == 3 * 2 * 1024 * 512
    assert operations.attempt("sweep", "nothing", (1,), 0.0, 1.0) == {"error": "KeyError: 'nothing'"}


# --- arithmetic ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpu", "gpu", "where"),
    [
        ([1, 10, 100], [5, 5, 5], 5),
        ([9, 10, 100], [5, 5, 5], 1),
        ([1, 2, 3], [5, 5, 5], None),
        ([9, 1, 100], [5, 5, 5], 22.360680),  # what is lost again does not count
        ([5, 10, 100], [5, 5, 5], 1),
        ([1, 10, 1], [5, 5, 5], None),
    ],
)
def test_crossover(cpu, gpu, where):
    assert card_report.crossover([1, 10, 100], cpu, gpu) == (None if where is None else pytest.approx(where))


def test_roofline_arithmetic():
    peak = {"flops": 50e12, "bytes": 4e12}
    assert card_report.attainable(12.5, peak) == 50e12  # the ridge
    assert card_report.attainable(1.0, peak) == 4e12
    assert card_report.step_bytes({"weights": 10, "activations": 5}, 2) == 4 * (90 + 40)
    row = {"flops": 200, "bytes": 50, "forward": {"step": 2.0}}
    assert card_report.point(row) == (4.0, 100000.0)
    assert card_report.point({**row, "flops": 0}) is None


def test_goals_are_measured_against_the_faster_layout():
    goals = {what: (text, good) for what, text, good in card_report.goals(made_up.results())}
    assert goals["P0, batch 32: not slower than PyTorch eager"] == ("0.34 of its time", True)
    assert goals["P4b tanh 2000, batch 32: 3 times as fast as cuDNN's LSTM"] == ("3.2 times", True)
    results = made_up.results()
    results["networks"]["P0"]["batches"]["32"]["PyTorch, channels last"]["step"] = 0.1
    assert dict((what, good) for what, _, good in card_report.goals(results))[
        "P0, batch 32: not slower than PyTorch eager"
    ] is False  # fmt: skip


def test_the_page_has_all_columns():
    page = card_report.report(made_up.results(), {"card": {"card": "C", "driver": "D", "versions": "V"}, "minutes": 5})
    page = " ".join(page.split())
    for words in (
        "C, D; V.", "TF32 off", "| host | device | copy in | compile, s |", "| P4b relu 2000, 256 |", "| warp |",
        "GPU faster from", "## Goals", "3900 GB/s in a copy", "All of it took 5 minutes",
    ):  # fmt: skip
        assert words in page, words
    tf32 = {**made_up.results(), "precision": "tf32"}
    assert "TF32: factors of matrix products rounded" in card_report.report(tf32, {})


def test_pictures_are_drawn_and_made_up_figures_say_so(tmp_path, monkeypatch):
    stamped = []
    usual = card_pictures.finished
    monkeypatch.setattr(card_pictures, "finished", lambda figure, path: stamped.append(
        [text.get_text() for text in figure.texts]) or usual(figure, path))  # fmt: skip
    drawn = card_pictures.draw_all(made_up.results(), tmp_path)
    assert [path.stat().st_size > 20_000 for path in drawn] == [True] * 4
    assert all(made_up.MARK in texts for texts in stamped)
    assert card_pictures.draw_all({**made_up.results(), "networks": {}, "sweeps": {}, "operations": {}, "peaks": {}},
                                  tmp_path) == []  # fmt: skip


# --- clocks --------------------------------------------------------------------------------------------------------


class Card(HostClock):
    """A device that does its work when it is waited for, at ten times the time it takes to ask."""

    def __init__(self):
        self.asked = 0

    def ask(self):
        self.asked += 1
        time.sleep(0.001)

    def wait(self):
        time.sleep(0.01 * self.asked)
        self.asked = 0

    def mark(self):
        return time.perf_counter()

    def between(self, before, after):
        return 10.0


def test_host_device_and_step_are_told_apart():
    card = Card()
    found = measured(card.ask, card, 0.1)
    assert 0.9 < found["host"] < found["step"] and found["device"] == 10
    assert found["step"] > 9
    assert once(card.ask, card) > 10
    on_host = measured(lambda: time.sleep(0.002), HostClock(), 0.02)
    assert on_host["device"] is None and on_host["step"] >= 2 and on_host["host"] >= 2


def test_warming_up_ends_when_it_takes_too_long():
    assert warmed(lambda: None, HostClock(), 8)[0] == 8
    assert warmed(lambda: time.sleep(0.01), HostClock(), 8, longest=0.0)[0] == 2


def test_what_fails_is_told_in_one_line():
    def fail():
        raise ValueError("two\n  lines")

    assert attempted(fail) == {"error": "ValueError: two lines"}
    assert attempted(max, 1, 2) == {"value": 2}
