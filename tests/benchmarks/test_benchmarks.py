"""Each benchmark in its shortest form, with tinymed alone; what disagrees is not timed and changes the exit status."""

import json

import pytest

from benchmarks import layers, memory, peers, profile, scaling, startup
from benchmarks.operations import resized
from tinymed.kernels.cpu import threads

SHORT = ["--quick", "--rounds", "1", "--threads", "1", "--libraries", "tinymed"]
TOY = "tests.benchmarks.toys:Program"


def run(module, folder, *arguments):
    status = module.main([*SHORT, "--out", str(folder), *arguments])
    name = module.__name__.rpartition(".")[2]
    return status, json.loads((folder / f"{name}.json").read_text()), (folder / f"{name}.md").read_text()


def toys(**times):
    """Return contenders with equal losses and these milliseconds, tinymed the first of them."""
    return tuple(
        peers.Contender(library, "", TOY, (("losses", [1.0, 0.9, 0.8]), ("milliseconds", ms)))
        for library, ms in times.items()
    )


def test_peers_with_tinymed_alone(tmp_path):
    status, found, page = run(peers, tmp_path, "--networks", "P3")
    assert status == 0
    row = found["results"]["P3"]["summary"]["train"]
    assert row["ratio"] is None and 0 < row["share of sgemm"] < 2
    assert "P3, training step" in page and "commit" in page
    assert (tmp_path / "peers.png").stat().st_size > 10_000


def test_peers_gives_the_ratio_to_the_fastest(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "CONTENDERS", toys(tinymed=10, PyTorch=40, TensorFlow=20))
    monkeypatch.setattr(peers.common, "wanted", lambda *_: True)
    status, found, _ = run(peers, tmp_path, "--networks", "P3")
    row = found["results"]["P3"]["summary"]["train"]
    assert status == 0 and row["fastest peer"] == "TensorFlow"
    assert row["ratio"] == pytest.approx(0.5, rel=0.2)


def test_who_disagrees_is_named_and_not_timed(tmp_path, monkeypatch):
    wrong = peers.Contender("PyTorch", "", TOY, (("losses", [1.0, 0.9, 0.801]),))
    absent = peers.Contender("JAX", "", TOY, (("absent", "jax is not installed"),))
    monkeypatch.setattr(peers, "CONTENDERS", (*toys(tinymed=1), wrong, absent))
    monkeypatch.setattr(peers.common, "wanted", lambda *_: True)
    status, found, page = run(peers, tmp_path, "--networks", "P3")
    result = found["results"]["P3"]
    assert status == 1
    assert result["disagree"]["PyTorch"] == pytest.approx(1e-3)
    assert set(result["times"]["train"]) == {"tinymed", "sgemm"}
    assert "the losses of PyTorch are 1.0e-03 away" in page and "JAX: jax is not installed (P3)" in page


def test_a_network_that_cannot_be_built_is_skipped_visibly(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "unsupported", lambda network: "no such layer")
    status, _, page = run(peers, tmp_path, "--networks", "P3")
    assert status == 0 and "P3 skipped: no such layer." in page


def test_xla_takes_part_on_recurrent_networks_only():
    options = peers.common.parsed(peers.common.parser("peers", "", 1), ["--threads", "1"])
    labels = {name: [c.label for c in peers.taking_part(name, options)] for name in ("P0", "P4b tanh 200")}
    assert set(labels["P4b tanh 200"]) - set(labels["P0"]) == {"TensorFlow XLA"}


def test_an_unknown_network_is_refused(capsys):
    with pytest.raises(SystemExit):
        peers.main([*SHORT, "--networks", "P9"])
    assert "unknown network 'P9'" in capsys.readouterr().err


def test_layers(tmp_path, monkeypatch):
    name = "relu 62x62x32 (P0)"
    monkeypatch.setattr(layers, "QUICK", (name,))
    status, found, page = run(layers, tmp_path)
    result = found["results"]["rows"][name]
    assert status == 0 and result["errors"] == {"textbook": 0.0, "tinymed": 0.0}
    assert set(result["ms"]["backward"]) == {"textbook", "tinymed"}
    assert "of memory" in page


def test_layers_times_nothing_that_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "QUICK", ("relu 62x62x32 (P0)",))
    monkeypatch.setattr(layers, "apart", lambda workers, name: {"textbook": 0.0, "tinymed": 0.5})
    status, found, page = run(layers, tmp_path)
    assert status == 1 and "tinymed is 5.0e-01 away" in page
    assert all("tinymed" not in ms for ms in found["results"]["rows"]["relu 62x62x32 (P0)"]["ms"].values())


def test_scaling(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "AXES", {"dense: inputs": ("dense", [[8, 64, 8], [8, 128, 8]])})
    monkeypatch.setattr(scaling, "unsupported", lambda network: "left out")
    status, found, page = run(scaling, tmp_path)
    assert status == 0 and found["results"]["dense: inputs"]["work"] == [2 * 8 * 64 * 8, 2 * 8 * 128 * 8]
    assert "left out" in page and (tmp_path / "scaling.png").exists()


def test_memory(tmp_path):
    status, found, page = run(memory, tmp_path)
    assert status == 0 and 1e7 < found["results"]["bytes"]["tinymed"] < 2e9
    assert "GB at the peak" in page


def test_startup_begins_with_an_empty_cache(tmp_path, monkeypatch):
    caches = []
    monkeypatch.setattr(peers, "CONTENDERS", toys(tinymed=1))
    monkeypatch.setattr(startup, "seconds", lambda *_, NUMBA_CACHE_DIR: caches.append(NUMBA_CACHE_DIR) or 1.0)
    status, found, page = run(startup, tmp_path, "--rounds", "3")
    assert status == 0 and set(found["results"]["seconds"]) == {"tinymed, very first run", "tinymed"}
    cold, warm = caches[0], caches[2]
    assert caches == [cold, cold, warm, warm, warm] and cold != warm
    assert "very first run" in page


def test_startup_measures_a_process(tmp_path, monkeypatch):
    (toy,) = toys(tinymed=30)
    options = startup.common.parsed(startup.common.parser("startup", "", 1), SHORT)
    assert 0.03 < startup.seconds(toy, tmp_path, options) < 60


@pytest.fixture
def own_threads():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.usefixtures("own_threads")
def test_profile_accounts_for_the_whole_step(tmp_path):
    status, found, page = run(profile, tmp_path, "P3", "--rounds", "3")
    result = found["results"]["P3"]
    assert status == 0 and "conv2d" in page
    assert sum(ms for ms, _ in result["parts"].values()) == pytest.approx(result["step with the clock"][0], rel=0.5)
    assert any(part.endswith("backward") for part in result["parts"])


def test_rows_of_any_size():
    row = resized("conv2d", [2, 8, 3, 4])
    assert [x.shape for x in row.inputs()] == [(2, 8, 8, 3), (3, 3, 3, 4), (4,)]
    assert row.flops == 2 * 2 * 6 * 6 * 27 * 4
