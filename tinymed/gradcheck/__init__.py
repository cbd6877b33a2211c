"""Numerical checks of every operation, layer and loss (floor 3)."""
