"""The zoo as a whole; each mistake is let loose in tests/gradcheck/faults."""

import pytest

from tinymed.gradcheck import FAULTS
from tinymed.gradcheck.checks import MEANING
from tinymed.gradcheck.runner import all_names


def test_there_are_many_and_each_has_its_own_name():
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_each_says_what_is_wrong_with_what_and_who_had_it(fault):
    assert fault.wrong.endswith(".")
    assert fault.target in (*all_names(), "Model")
    assert fault.caught_by in MEANING
    assert fault.seen_in


@pytest.mark.parametrize(
    "words",
    [
        "zero gradient", "missing 1/N", "flipped kernel", "KH and KW exchanged", "padding not cropped",
        "stride ignored in backward", "batch norm without the mean term", "batch norm with the wrong N",
        "dropout unscaled", "softmax without its coupling", "Dice without epsilon", "ReLU in place",
        "ties counted", "bias summed over the wrong axis", "shared layer overwrites", "stale cache",
        "Adam without bias correction", "weight decay applied twice", "schedule off by one",
        "LSTM gate order", "cell path forgotten", "truncated time steps", "mask ignored in backward",
    ],
)  # fmt: skip
def test_the_classics_are_there(words):
    assert any(words in fault.name for fault in FAULTS)
