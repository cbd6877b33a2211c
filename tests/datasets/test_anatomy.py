"""What the phantoms are painted from."""

import numpy as np

from tinymed.datasets import anatomy


def test_a_vessel_through_the_slices_is_painted_in_all_of_them_and_a_ball_in_one():
    line = np.array([[[5.0, -3.0, h, 1.5] for h in np.arange(-9, 9.5, 1)]], dtype=np.float32)
    z = np.array([[-3.0, 0.0, 3.0]], dtype=np.float32)
    tube = anatomy.splat(line, z, 64)
    assert tube.shape == (1, 64, 64, 3)
    row, column = 28, 36  # the patch's centre lies at 31.5: y = -3 is row 28.5, x = 5 is column 36.5
    assert (tube[0, row, column] > 0.9).all()
    ball = anatomy.splat(line[:, 9:10], z, 64)
    assert ball[0, row, column, 1] > 0.9
    assert ball[..., [0, 2]].max() == 0
    assert ball[0, :20].max() == 0


def test_balls_outside_the_patch_do_no_harm():
    balls = np.array([[[40.0, 0, 0, 3], [-33.0, 33.0, 0, 4], [0, 0, 50.0, 3]]], dtype=np.float32)
    painted = anatomy.splat(balls, np.zeros((1, 3), dtype=np.float32), 64)
    assert painted[0, :, 60:].max() == 0
    assert painted[0, 63, 0].max() > 0


def test_a_nodule_is_painted_where_its_outline_says():
    rng = np.random.default_rng(0)
    air = np.full((6, 48, 48, 3), -900.0, np.float32)
    z = np.tile(np.float32([-1, 0, 1]), (6, 1))
    radius = np.full((6, 1, 1, 1), 5.0, np.float32)
    centre = np.tile(np.float32([4, -6, 0]), (6, 1))
    painted, outline = anatomy.draw_nodule(rng, air, z, radius, centre)
    assert air.max() == -900  # the argument is as it was
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)[None, None, None]
    for image, reach in zip(painted[..., 1], outline(angles)[:, 0, 0], strict=True):
        assert 0.65 * 5 < reach.min() < reach.max() < 1.35 * 5
        changed = image > -850
        grid = np.arange(48) - 23.5
        dy, dx = grid[:, None] + 6, grid[None, :] - 4
        assert changed[np.hypot(dy, dx) < 3].all()
        far = np.hypot(dy, dx) > 1.7 * reach.max() + 2  # spikes reach out of the outline
        assert not changed[far].any()


def test_the_window_maps_air_to_0_and_bone_to_1():
    assert np.allclose(anatomy.windowed(np.array([-1500.0, -1000, -300, 400, 900])), [0, 0, 0.5, 1, 1])
