"""Cases of the penalties on weights."""

from tinymed.gradcheck.case import OpCase

OP_CASES = [
    OpCase("l1l2_penalty", {"w": (4, 3)}, options={"l2": 0.3}, analytic=True, label="squares only"),
    OpCase("l1l2_penalty", {"w": (4, 3)}, options={"l1": 0.2}, label="sizes only"),
    OpCase("l1l2_penalty", {"w": (2, 3, 2, 5)}, options={"l1": 0.2, "l2": 0.3}, label="both, a kernel"),
    OpCase("l1l2_penalty", {"w": (1,)}, options={"l1": 0.2, "l2": 0.3}, label="one weight"),
    OpCase("l1l2_penalty", {"w": (3,)}, analytic=True, label="no penalty"),
]
