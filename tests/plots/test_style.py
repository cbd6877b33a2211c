import pathlib
import subprocess
import sys

import matplotlib
import pytest

from tinymed import plots
from tinymed.plots import style


def test_nothing_global_is_touched(tmp_path):
    """No pyplot, no display, no changed setting: checked in a fresh interpreter, where nothing is loaded yet."""
    code = (
        "import sys, matplotlib\n"
        "def settings(): return {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = settings()\n"
        "from tinymed import plots\n"
        f"plots.roc([0, 1], [0.2, 0.7], path={str(tmp_path / 'roc.png')!r})\n"
        "assert settings() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_importing_the_module_loads_no_matplotlib():
    code = "import sys, tinymed.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_of_the_machine_do_not_show():
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 40}):
        figure = plots.roc([0, 1], [0.2, 0.7])
    assert figure.axes[0].get_facecolor() == (1, 1, 1, 1)
    assert figure.axes[0].xaxis.label.get_size() == 10


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_saving_in_a_folder_that_is_made(tmp_path, suffix):
    path = tmp_path / "new" / f"roc.{suffix}"
    plots.roc([0, 1], [0.2, 0.7], path=path)
    assert path.stat().st_size > 1000
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "roc.nothing"
    path.write_text("old")
    with pytest.raises(ValueError, match="nothing"):
        plots.roc([0, 1], [0.2, 0.7], path=path)
    assert path.read_text() == "old"
    assert [item.name for item in pathlib.Path(tmp_path).iterdir()] == ["roc.nothing"]


def test_right_and_wrong_differ_for_colour_blind_readers():
    """Green and red of this palette differ in blue and in brightness, not only along the red-green axis."""
    green, red = (matplotlib.colors.to_rgb(colour) for colour in (style.GREEN, style.RED))
    assert abs(green[2] - red[2]) > 0.4
    assert len({style.BLUE, style.ORANGE, style.GREEN, style.RED, style.GREY}) == 5
