import pytest

from benchmarks.workers import Worker, contest, environment

TOY = "tests.benchmarks.toys:Program"


def test_a_worker_answers_takes_time_and_knows_its_memory():
    with Worker(TOY, {"losses": [1.5, 0.25], "milliseconds": 5}, threads=1) as worker:
        assert worker.absent is None
        assert worker.call("losses") == [1.5, 0.25]
        times = worker.time("train", seconds=0.03)
        assert len(times) >= 2 and min(times) >= 4.9
        assert 1e6 < worker.call("peak_memory") < 1e9
    assert worker.process.returncode == 0


def test_what_is_absent_says_why():
    with Worker(TOY, {"absent": "jax is not installed"}, threads=1) as worker:
        assert worker.absent == "jax is not installed"


def test_an_error_in_a_worker_arrives_with_its_traceback():
    with Worker(TOY, {}, threads=1) as worker, pytest.raises(RuntimeError, match=r"(?s)fail.*wrong on purpose"):
        worker.call("fail")


def test_threads_are_the_same_for_every_library():
    found = environment(3)
    names = ("TINYMED", "OMP", "OPENBLAS", "MKL", "NUMBA")
    assert {found[f"{name}_NUM_THREADS"] for name in names} == {"3"}
    assert found["TF_NUM_INTRAOP_THREADS"] == found["TF_NUM_INTEROP_THREADS"] == "3"
    assert found["CUDA_VISIBLE_DEVICES"] == "-1"


def test_everybody_begins_a_round_once():
    order = []

    def turn(name):
        return lambda: order.append(name) or [1.0, 3.0]

    assert contest({name: turn(name) for name in "abc"}, rounds=3) == {name: [2.0] * 3 for name in "abc"}
    assert "".join(order) == "abc" + "bca" + "cab"


def test_the_slow_variant_of_a_library_drops_out_but_a_slow_library_does_not():
    turns = {"x one": lambda: [1.0], "x two": lambda: [2.0], "y": lambda: [9.0]}
    found = contest(turns, rounds=2, group=lambda name: name.split()[0])
    assert found == {"x one": [1.0, 1.0], "y": [9.0, 9.0]}
