"""Reading CUDA sources: signatures, headers, and what is wrong with a source."""

import pytest

from tinymed.kernels.gpu import reading
from tinymed.kernels.gpu.reading import Parameter


def test_signatures(tmp_path):
    path = tmp_path / "some.cu"
    path.write_text(
        '#include "rows.cuh"\n// KERNEL not(REAL* me) {}\n'
        "KERNEL first(const REAL* __restrict__ x, unsigned char* y /* bytes */,\n             Windows g, INDEX n) {}\n"
        "KERNEL __launch_bounds__(128) second(Inputs a, long long n, REAL rate) {}\n"
    )
    source = reading.read(path)
    assert source.name == "some" and list(source.kernels) == ["first", "second"]
    assert source.kernels["first"] == (
        Parameter("x", "REAL", True, True),
        Parameter("y", "unsigned char", True, False),
        Parameter("g", "Windows", False, False),
        Parameter("n", "INDEX", False, False),
    )
    assert source.kernels["second"][0] == Parameter("a", "Inputs", False, True)
    assert hash(source) == hash("some")


def test_one_text_with_line_numbers(tmp_path):
    """NVRTC sees no folder: headers stand in the text, and messages name the right file and line."""
    path = tmp_path / "some.cu"
    path.write_text('// one\n#include "rows.cuh"\n// three\n')
    lines = reading.read(path).text.splitlines()
    assert lines[0] == '#line 1 "prelude.cuh"'
    assert '#line 1 "rows.cuh"' in lines and not any(line.startswith("#include") for line in lines)
    assert lines[-2:] == ['#line 3 "some.cu"', "// three"]


@pytest.mark.parametrize(("signature", "message"), [("REAL x[3]", "cannot read"), ("short* x", "no array has")])
def test_unknown_parameters(signature, message, tmp_path):
    path = tmp_path / "some.cu"
    path.write_text(f"KERNEL f({signature}) {{}}\n")
    with pytest.raises(ValueError, match=rf"some\.cu: .*{message}"):
        reading.read(path)


def test_kernels_have_names_of_their_own(tmp_path, monkeypatch):
    (tmp_path / "prelude.cuh").write_text("")
    for name in ("one", "two"):
        (tmp_path / f"{name}.cu").write_text("KERNEL same(int n) {}\n")
    monkeypatch.setattr(reading, "SOURCES", tmp_path)
    monkeypatch.setattr(reading, "KERNELS", {})
    reading.load.__wrapped__("one")
    with pytest.raises(ValueError, match=r"one\.cu.*same|two\.cu.*same"):
        reading.load.__wrapped__("two")
