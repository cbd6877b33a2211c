import numpy as np
import pytest

from tests.gradcheck.operations import passes, rows, subject
from tinymed.gradcheck.adapters import subject_of_loss
from tinymed.gradcheck.case import LossCase, OpCase
from tinymed.gradcheck.extremes import EXTREMES
from tinymed.losses import CategoricalCrossentropy, CategoricalFocalCrossentropy, Dice


def standardize(x):
    mean = x.mean()
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean() + 1), None


def standardize_badly(x):
    return (x - x.mean()) / np.sqrt(np.abs((x * x).mean() - x.mean() ** 2) + 1), None


def zero(dy, cache):
    return 0 * dy


def test_every_extreme_is_tried():
    found = rows("extremes", subject(standardize, zero))
    assert len(found) == len(EXTREMES) and all(row.ok for row in found)


def test_cancellation_near_minus_a_thousand_is_found():
    bad = [row for row in rows("extremes", subject(standardize_badly, zero)) if not row.ok]
    assert any("HU" in row.tensor for row in bad)


def test_an_overflow_is_found():
    def softplus(x):
        return np.log(1 + np.exp(x)), None

    def stable(x):
        return np.logaddexp(0, x).astype(x.dtype), None

    with np.errstate(all="ignore"):
        assert not passes("extremes", subject(softplus, zero))
        assert passes("extremes", subject(stable, zero))


def test_a_warning_is_a_failure():
    def warns(x):
        np.exp(0.01 * np.abs(x))  # overflows in single precision only
        return 1 * x, None

    with np.errstate(all="ignore"):
        bad = [row for row in rows("extremes", subject(warns, zero)) if not row.ok]
    assert bad and "warns: overflow" in bad[0].note


def test_values_that_must_be_positive_are_left_alone():
    assert rows("extremes", subject(arrays={"x": lambda rng: rng.uniform(1, 2, 5)})) == []


def masks(rng):
    return (rng.uniform(size=(2, 3, 3, 1)) < 0.5).astype(np.float64)


def test_empty_and_full_masks_give_numbers():
    found = rows("finiteness", subject_of_loss(LossCase(Dice, masks, masks)))
    assert len(found) == 18 and all(row.ok for row in found)


@pytest.mark.parametrize("loss", [CategoricalCrossentropy, CategoricalFocalCrossentropy])
def test_probabilities_that_are_all_zero_give_numbers(loss):
    """Found by this check: q = p / sum(p) was 0/0, and one dead ReLU before the loss made all weights NaN."""
    value, cache = loss().forward(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]]))
    assert np.isfinite(value) and np.all(np.isfinite(loss().backward(cache)))


def test_only_losses_have_masks():
    assert rows("finiteness", subject()) == []
    assert OpCase("dice_loss", {}).op == "dice_loss"


def test_a_saturated_activation_behind_large_sums_is_no_false_alarm():
    """Seed 17 of 200: a transposed convolution with tanh near -1000 HU, whose slopes are what rounding leaves."""
    from tinymed import gradcheck

    assert gradcheck.check("Conv2DTranspose", seed=17, only=["extremes"]).ok
