"""Networks made of layers, and what trains, saves and describes them (floor 5)."""

from tinymed.models.graph import Model
from tinymed.models.saving import load_model
from tinymed.models.sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]
