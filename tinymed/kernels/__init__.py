"""The same operations, faster (floor 2): Numba for NumPy arrays, CUDA for CuPy arrays.

Nothing depends on this package: without it every operation runs its textbook body.
"""
