import pytest

from tests.gradcheck.faults.zoo import caught, named
from tinymed.gradcheck.faults import sequences


@pytest.mark.parametrize("fault", named(sequences.FAULTS))
def test_each_mistake_is_caught_by_the_named_check(fault):
    caught(fault)
