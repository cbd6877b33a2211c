"""Numerical checks of every operation, layer and loss (floor 3).

>>> from tinymed import gradcheck
>>> gradcheck.check("dense").ok
True
"""

from tinymed.gradcheck.case import LayerCase, LossCase, OpCase
from tinymed.gradcheck.report import Report, Row
from tinymed.gradcheck.runner import check, run

__all__ = ["LayerCase", "LossCase", "OpCase", "Report", "Row", "check", "run"]
