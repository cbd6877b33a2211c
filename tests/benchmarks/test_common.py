import math

import pytest

from benchmarks import common


def options(*arguments):
    return common.parsed(common.parser("name", "what it does", rounds=9), list(arguments))


def test_quick_is_short_and_writes_nothing_unless_told_where(tmp_path):
    quick, full = options("--quick", "--threads", "1"), options("--threads", "1")
    assert (quick.rounds, quick.out) == (2, None)
    assert (full.rounds, full.out) == (9, common.RESULTS)
    assert options("--quick", "--out", str(tmp_path), "--rounds", "3").out == tmp_path
    assert full.command == "python -m benchmarks.name --threads 1"


def test_libraries_are_chosen_without_regard_to_case_and_tinymed_always_takes_part():
    chosen = options("--libraries", "pytorch", "--threads", "1")
    assert [common.wanted(name, chosen) for name in ("tinymed", "PyTorch", "JAX")] == [True, True, False]
    assert common.wanted("JAX", options("--threads", "1"))


def test_machine_names_processor_threads_versions_commit_and_command():
    facts = common.machine(options("--threads", "3"))
    assert facts["threads"] == 3 and facts["processor"] and facts["commit"]
    assert {"python", "numpy", "numba"} <= set(facts["versions"])
    assert "python -m benchmarks.name" in common.described(facts)


def test_a_busy_machine_is_named_in_the_table():
    facts = {**common.machine(options("--threads", "1")), "load at the start": 3.5}
    assert "busy (load 3.5)" in common.described(facts)
    assert "busy" not in common.described({**facts, "load at the start": 0.1})


def test_spread():
    assert common.spread([1, 2, 3, 4, 5]) == {"median": 3, "low": 2, "high": 4}
    assert common.spread([7.0]) == {"median": 7, "low": 7, "high": 7}


def test_a_disturbed_round_does_not_change_the_ratio():
    assert common.ratio([1, 1, 10], [2, 2, 20]) == 0.5


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_exponent(power):
    sizes = [1, 2, 4, 8]
    assert common.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_disagreement_is_relative_and_nothing_agrees_with_nan():
    assert common.disagreement([1.0, 2.002], [1.0, 2.0]) == pytest.approx(1e-3)
    assert common.disagreement([0.0], [0.0]) == 0
    assert common.disagreement([math.nan], [1.0]) == math.inf
    assert common.disagreement([1.0, 1.0], [1.0]) == math.inf


def test_only_those_that_disagree_are_named():
    found = {"ours": [1.0, 0.5], "close": [1.00001, 0.5], "far": [1.0, 0.51], "broken": [math.nan, 0.5]}
    assert set(common.disagreeing(found, "ours")) == {"far", "broken"}


def test_table_is_aligned_markdown():
    assert common.table(["name", "ms"], [["a", "1.0"], ["longer", "12.5"]]).splitlines() == [
        "| name   |   ms |",
        "| :----- | ---: |",
        "| a      |  1.0 |",
        "| longer | 12.5 |",
    ]


def test_numbers_have_three_digits():
    assert [common.number(value) for value in (0.01234, 1.2345, 123.45, 1234.5)] == ["0.0123", "1.23", "123", "1234"]
