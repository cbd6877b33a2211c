"""Benchmarks: check that the numbers agree, then time, then draw. Each runs as ``python -m benchmarks.NAME``."""
