import numpy as np
import pytest

from tinymed.gradcheck import Report, Row


def row(item="tanh", check="gradient", tensor="x", error=1e-9, tolerance=1e-7, note=""):
    return Row(item, "3×4", check, tensor, error, tolerance, note)


@pytest.mark.parametrize(("error", "ok"), [(0.0, True), (1e-7, True), (2e-7, False), (np.inf, False), (np.nan, False)])
def test_verdicts(error, ok):
    assert row(error=error).ok is ok
    assert row(error=error).verdict == ("ok" if ok else "WRONG")


def test_nothing_checked_is_not_ok():
    assert not Report().ok
    assert "nothing was checked" in Report().summary()


def test_the_worst_of_each_tensor_is_kept():
    report = Report([row(error=1e-9), row(error=1e-8), row(tensor="y", error=0.0), row(check="adjoint", error=np.nan)])
    assert [(r.check, r.tensor) for r in report.worst()] == [("gradient", "x"), ("gradient", "y"), ("adjoint", "x")]
    assert report.worst()[0].error == 1e-8
    assert report.caught_by() == ["adjoint"]


def test_a_right_report_reads_well():
    text = str(Report([row(), row(check="mutation", error=0, tolerance=0), row("relu")], seconds=0.5))
    assert "1.0e-09" in text and "1 right" in text
    assert text.endswith("2 items, 3 findings, 0.5 s: all right")


def test_a_single_item_is_shown_in_full():
    assert "mutation" in str(Report([row(), row(check="mutation", error=0, tolerance=0)]))


def test_failures_say_where_and_what_the_check_means():
    report = Report(
        [row(error=0.3, note="at element 2: 1 instead of 2"), row("relu", "mutation", error=1, tolerance=0)]
    )
    text = str(report)
    assert "tanh (3×4): gradient, x: error 3.00e-01 > 1e-07" in text
    assert "at element 2: 1 instead of 2" in text
    assert "mutation: Forward and backward must not change" in text
    assert "WRONG" in text and "wrong: mutation" in text and "2 wrong" in text


def test_many_failures_are_cut_short():
    report = Report([row(f"op{i}", error=1.0) for i in range(30)])
    assert report.explain_failures(20).endswith("... and 10 more")
