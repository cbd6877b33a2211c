from tinymed import gradcheck
from tinymed.gradcheck import faults
from tinymed.gradcheck.faults.fault import op_fault

CAUGHT = next(f for f in faults.FAULTS if f.name == "flipped kernel")
ESCAPES = op_fault("tanh", "no mistake at all", "", "gradient")


def test_mistakes_are_shown_with_their_checks(capsys, monkeypatch):
    monkeypatch.setattr(faults, "FAULTS", [CAUGHT])
    assert gradcheck.demonstrate_faults() == 0
    text = capsys.readouterr().out
    assert "flipped kernel" in text and "adjoint" in text and "1 of 1 mistakes caught" in text


def test_one_that_gets_through_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(faults, "FAULTS", [CAUGHT, ESCAPES])
    assert gradcheck.demonstrate_faults() == 1
    text = capsys.readouterr().out
    assert "NOT CAUGHT" in text and "not: no mistake at all" in text
