"""How a mistake is let loose: with a few seeds here, with a hundred in benchmarks/gradcheck.py."""

import pytest

SEEDS = (0, 1, 2)


def named(faults):
    return [pytest.param(fault, id=fault.name.replace(" ", "-")) for fault in faults]


def caught(fault):
    for seed in SEEDS:
        row = fault.catch(seed)
        assert row is not None, f"{fault.name} gets through with seed {seed}"
        assert row.check == fault.caught_by
