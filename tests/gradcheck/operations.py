"""Small operations to try the checks on: a right square, and whatever is put in its place."""

import numpy as np

from tinymed.gradcheck.adapters import subject_of_op
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.checks import CHECKS
from tinymed.ops.registry import Operation


def square(x):
    return x * x, x


def square_backward(dy, cache):
    return 2 * cache * dy


def double(x):
    return 2 * x, None


def double_backward(dy, cache):
    return 2 * dy


def operation(forward=square, backward=square_backward):
    made = Operation("square", forward)
    made.backward = backward
    return made


def subject(forward=square, backward=square_backward, **case):
    case.setdefault("arrays", {"x": (3, 4)})
    return subject_of_op(OpCase("square", **case), operation(forward, backward))


def rows(check, subject, seed=0):
    return list(CHECKS[check](subject, np.random.default_rng(seed)))


def passes(check, subject, seed=0):
    found = rows(check, subject, seed)
    assert found
    return all(row.ok for row in found)
