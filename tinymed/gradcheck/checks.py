"""The checks by name, in the order in which they run, with what each of them means."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinymed.gradcheck import adjoint, agreement, behaviour, extremes, gradient, layouts
from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Subject

Check = Callable[[Subject, np.random.Generator], Iterator[Row]]

CHECKS: dict[str, Check] = {
    "gradient": gradient.check_gradient,
    "complex step": gradient.check_complex_step,
    "adjoint": adjoint.check_adjoint,
    "linearity": adjoint.check_linearity,
    "kinks": gradient.check_kinks,
    "mutation": behaviour.check_mutation,
    "aliasing": behaviour.check_aliasing,
    "dtypes": behaviour.check_dtypes,
    "repeatability": behaviour.check_repeatability,
    "threads": behaviour.check_threads,
    "reuse": behaviour.check_reuse,
    "state": behaviour.check_state,
    "expectation": behaviour.check_expectation,
    "shapes": layouts.check_shapes,
    "layouts": layouts.check_layouts,
    "finiteness": extremes.check_finiteness,
    "extremes": extremes.check_extremes,
    "agreement": agreement.check_agreement,
}
"""Each check takes a subject and a generator, and yields rows. Checks that do not apply to a subject yield none."""

MEANING = {
    "gradient": (
        "Every input is moved a little to both sides and the change of the output is measured, which gives the slope "
        "without any formula. The gradient must be that slope to seven digits, for a random mixture of the outputs."
    ),
    "complex step": (
        "The input is moved along the imaginary axis, where nothing is subtracted and so no digits are lost. "
        "The gradient must agree to nine digits."
    ),
    "adjoint": (
        "A linear operation is a matrix A, and its backward is the transposed matrix. Then <Ax, y> equals <x, A*y> for "
        "all x and y, to rounding error and with no step size, in single precision too."
    ),
    "linearity": (
        "Backward must be linear: the gradient of twice the signal is twice the gradient, and of a sum the sum. "
        "State that is left behind, or an array that is overwritten, breaks this."
    ),
    "kinks": (
        "At a kink (ReLU at zero, a tie in max pooling) there is no derivative, but there are slopes on both sides. "
        "The gradient must lie between them, and a tie must not be counted twice."
    ),
    "mutation": (
        "Forward and backward must not change the arrays that they are given. "
        "A ReLU that works in place destroys the input that its neighbour still needs."
    ),
    "aliasing": (
        "A gradient must be an array of its own. "
        "If it shares memory with another, adding to the one silently changes the other."
    ),
    "dtypes": (
        "Single precision in, single precision out, in every output and gradient. "
        "Half precision is summed in single precision and only rounded at the end."
    ),
    "repeatability": (
        "The same numbers in give the same bits out, every time. Otherwise no experiment can be repeated."
    ),
    "threads": (
        "The result must be the same, bit for bit, for any number of threads. "
        "A difference means that threads add to the same place in an order that changes."
    ),
    "reuse": (
        "What backward needs belongs to the call: another batch in between, or a second backward, changes nothing. "
        "A layer that keeps its last input gives the wrong gradient here."
    ),
    "state": (
        "Inference and backward leave weights and moving averages as they were. "
        "Otherwise looking at a model would change it."
    ),
    "expectation": (
        "Dropout and noise must not change the mean: averaged over many draws, training gives what inference gives. "
        "Dropout without its factor 1/(1-rate) does not."
    ),
    "shapes": (
        "The output has the shape that the layer announces, also for a batch of a single sample. "
        "Each gradient has the shape of its tensor."
    ),
    "layouts": (
        "Arrays that lie in memory in another order (transposed, every second element, back to front) hold the same "
        "numbers. They must give the same result."
    ),
    "finiteness": (
        "Empty masks, full masks, and predictions that are certain must give a number and a gradient, "
        "not 0/0. One such image would spoil all weights at once."
    ),
    "extremes": (
        "Inputs as large as 10000, near -1000 Hounsfield units with little contrast, nearly zero, or all alike, come "
        "in single precision. The results must stay finite and near those of double precision."
    ),
    "agreement": (
        "The fast body and the textbook's formula must give the same numbers, in single and double precision, "
        "forward and backward. The fast one is only allowed to be faster."
    ),
    "coverage": (
        "Every operation, layer, loss and optimizer needs at least one case. What is not checked may be wrong."
    ),
    "updates": (
        "Optimizers and schedules are followed step by step beside their published formulas, computed with fifty "
        "digits. Every step must agree."
    ),
}
"""Two sentences on each check, for the reports."""
