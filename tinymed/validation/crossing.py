"""Cross-validation: train as often as there are folds, test each sample with the model that has not seen it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.validation.leaks import check_apart, repeated
from tinymed.validation.splits import Fold, k_fold


@dataclass(frozen=True)
class CrossValidation:
    """What cross-validation found.

    Attributes:
        folds: The numbers of each fold, a dict for each.
        predictions: For each sample the output of the model that was not trained on it, (N, ...).
        fold_of: The fold in which each sample was tested, (N,).
    """

    folds: list[dict[str, float]]
    predictions: np.ndarray
    fold_of: np.ndarray

    @property
    def mean(self) -> dict[str, float]:
        """The mean over the folds of each number."""
        return {name: float(np.mean(self.values(name))) for name in self.folds[0]}

    @property
    def spread(self) -> dict[str, float]:
        """The standard deviation over the folds: how much the number depends on which patients one happens to have.

        It is not the error of the mean: the folds share most of their training samples, so dividing by the root of
        their number would promise too much.
        """
        return {name: float(np.std(self.values(name), ddof=1)) for name in self.folds[0]}

    def values(self, name: str) -> np.ndarray:
        """Return one number of all folds, (folds,)."""
        return np.array([fold[name] for fold in self.folds])

    def __str__(self) -> str:
        mean, spread = self.mean, self.spread
        return "\n".join(f"{name} {mean[name]:.3f} ± {spread[name]:.3f} ({len(self.folds)} folds)" for name in mean)


def cross_validate(
    build: Callable[[], Any],
    x: Any,
    y: Any,
    *,
    metrics: Mapping[str, Callable[[Any, Any], float]],
    folds: int | Iterable[tuple[Any, Any]] = 5,
    groups: Any = None,
    stratify: bool = True,
    prepare: Callable[[], Any] | None = None,
    fit: Mapping[str, Any] | Callable[..., Any] | None = None,
    seed: int = 0,
    each: Callable[[int, dict[str, float]], None] | None = None,
) -> CrossValidation:
    """Train and test a model on each fold, everything anew: weights, optimizer, and preparation of the data.

    Arguments:
        build: Makes a compiled model with fresh weights; called once for each fold.
        x: Samples, N rows.
        y: Labels, N rows.
        metrics: Functions of ``(y_true, y_pred)`` by name, such as ``{"auc": tinymed.metrics.roc_auc}``.
        folds: Number of folds, or your own pairs of row numbers (train, test).
        groups: The patient of each sample: no patient is on both sides then.
        stratify: Whether every fold gets the classes in the same proportions, where ``y`` holds class numbers.
        prepare: Makes an object with ``fit(x)`` and ``transform(x)``; it sees the training samples only.
        fit: Arguments of ``model.fit`` (default: ``{"verbose": 0}`` is added), or your own function of
            ``(model, x, y)`` that trains; it must not look at anything else.
        seed: Decides the folds. Weights come from the root seed, see :func:`tinymed.set_seed`.
        each: Called after each fold with its number and its results, to show progress.

    Raises:
        ValueError: If a sample or patient would be on both sides, if ``build`` returns what it has returned
            before (the model would have seen the test samples), or if data do not fit.

    Warns:
        UserWarning: If equal samples are on both sides of a fold.
    """
    xs, ys = backend.to_host(x), backend.to_host(y)
    if len(xs) != len(ys):
        raise ValueError(f"cross_validate got {len(xs)} samples but {len(ys)} labels")
    if not metrics:
        raise ValueError("cross_validate needs metrics, such as {'auc': tinymed.metrics.roc_auc}")
    chosen = _folds(folds, ys, groups, stratify, seed)
    for train, test in chosen:
        check_apart(train, test, groups)
    _warn_of_copies(xs, chosen)
    made: list[Any] = []
    results: list[dict[str, float]] = []
    predictions: np.ndarray | None = None
    fold_of = np.full(len(xs), -1)
    for number, (train, test) in enumerate(chosen):
        model = build()
        _must_be_new(model, made)
        made.append(model)
        x_train, x_test = xs[train], xs[test]
        if prepare is not None:
            preparation = prepare()
            preparation.fit(x_train)
            x_train, x_test = preparation.transform(x_train), preparation.transform(x_test)
        if callable(fit):
            fit(model, x_train, ys[train])
        else:
            model.fit(x_train, ys[train], **{"verbose": 0, **(fit or {})})
        found = np.asarray(model.predict(x_test, verbose=0))
        if predictions is None:
            predictions = np.full((len(xs), *found.shape[1:]), np.nan, dtype=found.dtype)
        predictions[test] = found
        fold_of[test] = number
        results.append({name: float(metric(ys[test], found)) for name, metric in metrics.items()})
        if each is not None:
            each(number, results[-1])
    return CrossValidation(results, np.asarray(predictions), fold_of)


def _folds(folds: Any, ys: np.ndarray, groups: Any, stratify: bool, seed: int) -> list[Fold]:
    if not isinstance(folds, int | np.integer):
        own = [Fold(np.asarray(train), np.asarray(test)) for train, test in folds]
        if len(own) < 2:
            raise ValueError(f"cross-validation needs at least two folds, got {len(own)}")
        return own
    classes = ys.reshape(len(ys), -1)
    if classes.shape[1] > 1:
        labels = classes.argmax(axis=1) if ((classes == 0) | (classes == 1)).all() else None
    else:
        labels = classes[:, 0] if (classes == np.floor(classes)).all() else None
    return k_fold(len(ys), int(folds), labels=labels if stratify else None, groups=groups, seed=seed)


def _warn_of_copies(xs: np.ndarray, folds: list[Fold]) -> None:
    """Warn if a test sample is, bit for bit, also a training sample."""
    number = repeated(xs)
    copies = sum(int(np.isin(number[test], number[train]).sum()) for train, test in folds)
    if copies:
        warnings.warn(
            f"{copies} test samples are equal to a training sample, so the result is too good; "
            "pass groups=validation.repeated(x) to keep copies together",
            UserWarning,
            stacklevel=3,
        )


def _must_be_new(model: Any, made: list[Any]) -> None:
    """Raise ValueError if the model, or one of its layers, belongs to an earlier fold."""
    layers = {id(layer) for layer in model.layers if layer.params or layer.state or not layer.built}
    for other in made:
        if other is model or layers & {id(layer) for layer in other.layers}:
            raise ValueError(
                "build returned a model, or a layer, that an earlier fold has trained: it has seen the test samples; "
                "make the layers inside build"
            )
