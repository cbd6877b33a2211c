"""Numerical checks of every operation, layer and loss (floor 3), and a zoo of mistakes that checks the checks.

>>> from tinymed import gradcheck
>>> gradcheck.check("dense").ok
True
"""

from tinymed.gradcheck.case import LayerCase, LossCase, OpCase
from tinymed.gradcheck.faults import FAULTS, demonstrate_faults
from tinymed.gradcheck.report import Report, Row
from tinymed.gradcheck.runner import check, run

__all__ = ["FAULTS", "LayerCase", "LossCase", "OpCase", "Report", "Row", "check", "demonstrate_faults", "run"]
