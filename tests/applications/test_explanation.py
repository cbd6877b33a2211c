"""One picture for each image, with all methods; classes and layers that there are not."""

import numpy as np
import pytest
from typer.testing import CliRunner

from tinymed import cli
from tinymed.applications import explanation


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory):
    """Return a model and three images."""
    arrays = np.load(trained.folder / "examples.npz")
    path = tmp_path_factory.mktemp("images") / "three.npz"
    np.savez(path, **{key: arrays[key][-3:] for key in arrays.files})
    return trained.folder / "model.safetensors", path


def test_pictures_and_maps(files, tmp_path, in_full):
    model, examples = files
    found = explanation.explain(model, [examples], tmp_path / "maps")
    assert len(found) == 3
    one = found[-1]
    assert set(one.maps) == set(explanation.METHODS)
    assert all(values.shape == (28, 28) for values in one.maps.values())
    assert 0.5 <= one.probability <= 1
    assert all(item.path.read_bytes().startswith(b"\x89PNG") for item in found)
    assert len({item.path for item in found}) == 3


def test_another_class_turns_the_signs(files):
    model, examples = files
    yes, no = (explanation.explain(model, [examples], target=name)[0] for name in ("pneumonia", "normal"))
    assert yes.path is None
    assert yes.probability + no.probability == pytest.approx(1)
    np.testing.assert_allclose(yes.maps["integrated gradients"], -no.maps["integrated gradients"], atol=1e-6)
    np.testing.assert_allclose(yes.maps["saliency"], no.maps["saliency"], rtol=1e-5)


def test_what_there_is_not(files, tmp_path):
    model, examples = files
    with pytest.raises(ValueError, match="knows no class 'cold'; its classes are normal, pneumonia"):
        explanation.explain(model, [examples], target="cold")
    with pytest.raises(ValueError, match="has no layer 'third'"):
        explanation.explain(model, [examples], layer="third")
    with pytest.raises(ValueError, match="at least one image"):
        explanation.explain(model, [])
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(files, tmp_path):
    model, examples = files
    done = CliRunner().invoke(cli.app, ["explain", str(model), str(examples), "--out", str(tmp_path / "maps")])
    assert done.exit_code == 0, done.output
    assert done.output.count(".png") == 3
    failed = CliRunner().invoke(cli.app, ["explain", str(model), str(tmp_path / "none.png")])
    assert failed.exit_code == 1
