import numpy as np
import pytest

from tinymed import losses, ops

RNG = np.random.default_rng(0)
F, G = RNG.uniform(size=(2, 6, 6, 1)), RNG.uniform(size=(2, 6, 6, 1))


@pytest.mark.parametrize(
    ("loss", "operation"),
    [
        (losses.LocalCorrelation(window=3, epsilon=1e-4), lambda: ops.local_correlation(F, G, 3, 1e-4)),
        (losses.MutualInformation(bins=8), lambda: ops.mutual_information(F, G, 8)),
        (losses.DisplacementSmoothness(order=2), lambda: ops.displacement_smoothness(F, G, 2)),
    ],
)
def test_is_the_mean_of_the_operation(loss, operation):
    assert loss(F, G) == pytest.approx(operation()[0].mean())
    again = type(loss).from_config(loss.get_config())
    assert again(F, G) == loss(F, G)
    function = getattr(losses, loss.name)
    assert function(F, G).shape == (2,)
    assert isinstance(losses.get(loss.name), type(loss))


def test_images_of_different_shape():
    with pytest.raises(ValueError, match="same height, width and channels"):
        losses.LocalCorrelation()(F, G[:, :5])
    with pytest.raises(ValueError, match="order 1 and 2"):
        losses.DisplacementSmoothness(order=0)
