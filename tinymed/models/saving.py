"""One file for one model: architecture, weights, optimizer state. Safetensors holds them, never a pickle.

The arrays stand under their paths (``dense/kernel``, ``optimizer/m/dense/kernel``), everything else as JSON in
the file's metadata. The file is written beside its destination and renamed: no crash leaves half a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinymed import backend, files, optimizers
from tinymed.configurable import serialize
from tinymed.layers.base import Layer
from tinymed.layers.symbolic import Input, InputLayer, add_node
from tinymed.models.graph import Model
from tinymed.models.sequential import Sequential

FORMAT = 1
"""Version of the file format; a file with a newer one is refused."""


# --- architecture ----------------------------------------------------------------------------------------------


def layer_classes() -> dict[str, type[Layer]]:
    """Return every layer class by its name, models included."""
    from tinymed import layers

    found = {name: item for name, item in vars(layers).items() if isinstance(item, type) and issubclass(item, Layer)}
    return {**found, "Model": Model, "Functional": Model, "Sequential": Sequential}


def _layer_from(config: Mapping[str, Any], custom: Mapping[str, type[Layer]]) -> Layer:
    cls = {**layer_classes(), **custom}.get(config["class_name"])
    if cls is None:
        raise ValueError(
            f"the file uses a layer class {config['class_name']!r} that is not known here; "
            f"pass custom_objects={{{config['class_name']!r}: the class}}"
        )
    if issubclass(cls, Model):
        return graph_from_config(config["config"], custom)
    return cls.from_config(config["config"])


def graph_config(model: Model) -> dict[str, Any]:
    """Describe a model as plain data: its layers, and which tensor of which node goes where."""
    if isinstance(model, Sequential):
        shape = list(model.inputs[0].shape) if model.inputs else None
        dtype = model.inputs[0].dtype if model.inputs else model.dtype
        layers = [serialize(layer) for layer in model.layers]
        return {"kind": "sequential", "name": model.name, "input_shape": shape, "dtype": dtype, "layers": layers}
    places = {id(t): [-1 - i, 0] for i, t in enumerate(model.inputs)}
    places.update({id(t): [i, t.index] for i, node in enumerate(model.nodes) for t in node.outputs})
    return {
        "kind": "graph",
        "name": model.name,
        "inputs": [
            {"name": name, "shape": list(t.shape), "dtype": t.dtype}
            for name, t in zip(model.input_names, model.inputs, strict=True)
        ],
        "layers": [serialize(layer) for layer in model.layers if not isinstance(layer, InputLayer)],
        "nodes": [
            {
                "layer": node.layer.name,
                "inputs": [places[id(t)] for t in node.inputs],
                "takes_list": node.takes_list,
            }
            for node in model.nodes
        ],
        "outputs": [places[id(t)] for t in model.outputs],
        "takes_list": model.takes_list,
        "gives_list": model.gives_list,
    }


def graph_from_config(config: Mapping[str, Any], custom: Mapping[str, type[Layer]] | None = None) -> Model:
    """Build the model that :func:`graph_config` described, with fresh weights."""
    layers = {item["config"]["name"]: _layer_from(item, custom or {}) for item in config["layers"]}
    if config["kind"] == "sequential":
        shape = config["input_shape"]
        start = [Input(tuple(shape[1:]), batch_size=shape[0], dtype=config["dtype"])] if shape else []
        return Sequential([*start, *layers.values()], name=config["name"])
    inputs = [
        Input(tuple(item["shape"][1:]), batch_size=item["shape"][0], dtype=item["dtype"], name=item["name"])
        for item in config["inputs"]
    ]
    made: list[list] = []

    def tensor(place: list[int]) -> Any:
        return inputs[-1 - place[0]] if place[0] < 0 else made[place[0]][place[1]]

    for node in config["nodes"]:
        given = [tensor(place) for place in node["inputs"]]
        out = add_node(layers[node["layer"]], given if node["takes_list"] else given[0])
        made.append(out if isinstance(out, list) else [out])
    outputs = [tensor(place) for place in config["outputs"]]
    return Model(
        inputs if config["takes_list"] else inputs[0],
        outputs if config["gives_list"] else outputs[0],
        name=config["name"],
    )


# --- weights ---------------------------------------------------------------------------------------------------


def weights_by_path(model: Model, prefix: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield ``(path, store, key)`` for every weight of a model, so that ``store[key]`` is the array."""
    for layer in model.layers:
        if isinstance(layer, Model):
            yield from weights_by_path(layer, f"{prefix}{layer.name}/")
        else:
            for store in (layer.params, layer.state):
                for key in store:
                    yield f"{prefix}{layer.name}/{key}", store, key


def _set_by_path(model: Model, arrays: Mapping[str, np.ndarray], source: str) -> None:
    wanted = list(weights_by_path(model))
    for path, store, key in wanted:
        if path not in arrays:
            raise ValueError(f"{source} has no weight {path!r}; it has {sorted(arrays)[:5]} ...")
        if tuple(arrays[path].shape) != tuple(store[key].shape):
            raise ValueError(
                f"{source}: weight {path!r} has shape {tuple(arrays[path].shape)} "
                f"but the model needs {tuple(store[key].shape)}"
            )
    for path, store, key in wanted:
        store[key] = backend.asarray(arrays[path])


# --- the file --------------------------------------------------------------------------------------------------


def save_model(
    model: Model, path: Any, metadata: Mapping[str, str] | None = None, include_optimizer: bool = True
) -> None:
    """Write ``model`` to ``path``.

    Arguments:
        model: A model whose weights exist.
        path: Destination; any name, ``.safetensors`` by habit.
        metadata: Your own strings (class names, how to prepare images); ``load_model(path).metadata`` has them again.
        include_optimizer: Whether to keep what is needed to go on training: the optimizer, its state, loss and
            metrics. Adam's state is twice as large as the weights.

    Raises:
        ValueError: If the model has not been built yet, or a metadata value is no string.
    """
    from safetensors.numpy import save

    from tinymed import __version__

    if not model.built:
        raise ValueError(f"{model.name} has no weights yet; call it on data or give its first layer input_shape")
    own = dict(metadata) if metadata is not None else dict(getattr(model, "metadata", {}))
    for key, value in own.items():
        if not isinstance(value, str):
            raise ValueError(f"metadata[{key!r}] must be a string, got {type(value).__name__}")
    arrays = {path: contiguous(store[key]) for path, store, key in weights_by_path(model)}
    about: dict[str, Any] = {"format": FORMAT, "tinymed": __version__, "model": graph_config(model), "metadata": own}
    about["weights"] = list(arrays)
    if model.optimizer is not None and include_optimizer:
        about["optimizer"] = {**serialize(model.optimizer), "iterations": int(model.optimizer.iterations)}
        about["compile"] = {key: serialize(value) for key, value in (model._compiled or {}).items()}
        arrays.update({f"optimizer/{key}": contiguous(value) for key, value in model.optimizer.state.items()})
    model.metadata = own
    # The bytes are put together first and written by our own atomic writer.
    files.write_bytes(path, save(arrays, metadata={"tinymed": json.dumps(about)}))


def contiguous(x: Any) -> np.ndarray:
    """Return a copy on the host as safetensors can write it."""
    return np.array(backend.to_host(x), order="C")  # unlike ascontiguousarray, keeps scalars scalars


def load_model(path: Any, custom_objects: Mapping[str, type[Layer]] | None = None) -> Model:
    """Read a model that ``model.save(path)`` wrote, ready to predict or to go on training.

    Arguments:
        path: The file.
        custom_objects: Your own layer classes by name, if the model uses any.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, no tinymed model, or written by a newer tinymed.
    """
    about, arrays = read(path)
    if "model" not in about:
        raise ValueError(
            f"{path} holds weights only; build the model and call model.load_weights({os.fspath(path)!r}), "
            "or write the file with model.save"
        )
    model = graph_from_config(about["model"], custom_objects)
    _set_by_path(model, {k: v for k, v in arrays.items() if not k.startswith("optimizer/")}, str(path))
    model.metadata = about["metadata"]
    if "optimizer" in about:
        optimizer = optimizers.get(about["optimizer"])
        optimizer.iterations = about["optimizer"]["iterations"]
        prefix = "optimizer/"
        optimizer.load_state({k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)})
        model.compile(optimizer=optimizer, **about["compile"])
    return model


def read_metadata(path: Any) -> dict[str, str]:
    """Return the strings that were saved with a model, without loading its weights.

    Raises:
        FileNotFoundError, ValueError: As :func:`load_model`.
    """
    about, _ = read(path, weights=False)
    return dict(about["metadata"])


def read(path: Any, weights: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a model file: what it says of itself, and (if wanted) its arrays."""
    from safetensors import SafetensorError, safe_open

    if os.path.isdir(path):
        raise FileNotFoundError(f"{os.fspath(path)!r} is a folder; name the model file in it")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no model file {os.fspath(path)!r}")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get("tinymed", "null"))
            arrays = {key: file.get_tensor(key) for key in file.keys()} if weights else {}  # noqa: SIM118 - no dict
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is no model file, or it is damaged: {error}") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path} is a safetensors file but holds no tinymed model")
    if about["format"] > FORMAT:
        raise ValueError(
            f"{path} was written by tinymed {about['tinymed']}, which is newer; upgrade tinymed to read it"
        )
    return about, arrays
