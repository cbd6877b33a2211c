import re

from tinymed.gradcheck import FAULTS
from tinymed.gradcheck.checks import CHECKS, MEANING


def test_every_check_says_what_it_means_in_two_sentences():
    assert set(CHECKS) | {"coverage", "updates"} == set(MEANING)
    for name, meaning in MEANING.items():
        assert len(re.findall(r"[.](?:\s|$)", meaning)) == 2, name


def test_every_check_has_a_mistake_that_it_alone_is_expected_to_catch():
    """A check that has never failed is untested."""
    expected = {fault.caught_by for fault in FAULTS}
    assert set(CHECKS) | {"updates"} == expected
