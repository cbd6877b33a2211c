"""A zoo of plausible mistakes, each of which a named check must catch: the checker checked.

A checker that has never failed is untested. Every fault here is a small wrong body in the place of a right one, of
the kind that students write and engines have shipped. ``tinymed gradcheck --faults`` shows them being caught.

>>> fault = next(fault for fault in FAULTS if fault.name == "softmax without its coupling")
>>> fault.catch(seed=1).check
'gradient'
"""

from tinymed.gradcheck.faults import (
    activations,
    behaviour,
    convolution,
    layers,
    losses,
    normalization,
    pooling,
    recurrent,
    sequences,
    shaping,
    steps,
)
from tinymed.gradcheck.faults.demonstration import demonstrate_faults
from tinymed.gradcheck.faults.fault import Fault

_FAMILIES = (
    activations,
    shaping,
    behaviour,
    convolution,
    pooling,
    normalization,
    losses,
    layers,
    recurrent,
    sequences,
    steps,
)

FAULTS: list[Fault] = [fault for family in _FAMILIES for fault in family.FAULTS]
"""All faults."""

__all__ = ["FAULTS", "Fault", "demonstrate_faults"]
