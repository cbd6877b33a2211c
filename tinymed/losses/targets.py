"""What is wrong with the targets, in words: advice for the messages of the losses."""

from __future__ import annotations

import numpy as np

Shape = tuple[int | None, ...]


def check_between_0_and_1(name: str, y: np.ndarray) -> None:
    """Raise ValueError unless all targets lie between 0 and 1."""
    low, high = y.min(), y.max()
    if low >= 0 and high <= 1:
        return
    if high == 255:
        advice = "they look like the pixels of an 8-bit mask: (y > 127) makes them 0 and 1"
    elif low == -1 and high <= 1:
        advice = "(y + 1) / 2 turns -1 and 1 into 0 and 1"
    elif low >= 0 and np.all(y == np.round(y)):
        advice = "they look like class numbers: use sparse_categorical_crossentropy and one output for each class"
    else:
        advice = "for values of other ranges use a loss of regression, such as mean_squared_error"
    raise ValueError(f"{name} expects targets between 0 and 1 but got {_listed(y)}; {advice}")


def check_class_numbers(name: str, y: np.ndarray, classes: int | None, ignore_class: int | None) -> None:
    """Raise ValueError unless all targets are whole numbers from 0 to ``classes - 1`` (or ``ignore_class``)."""
    if ignore_class is not None:
        y = y[y != ignore_class]
    if not y.size or classes is None:
        return
    if y.dtype.kind == "f" and not np.all(y == np.round(y)):
        raise ValueError(f"{name} expects class numbers, whole numbers from 0 on, but got {_listed(y)}")
    low, high = int(y.min()), int(y.max())
    if low >= 0 and high < classes:
        return
    if low >= 1 and high == classes:
        advice = "they seem to start at 1: subtract 1"
    elif (outside := np.unique(y[(y < 0) | (y >= classes)])).size == 1 and outside[0] in (-1, 255):
        advice = f"if {outside[0]:g} marks what is not to be counted, set ignore_class={outside[0]:g}"
    elif low >= 0:
        advice = f"the last layer needs {high + 1} units, one for each class"
    else:
        advice = "class numbers are not negative"
    raise ValueError(
        f"{name} expects class numbers from 0 to {classes - 1}, for the {classes} classes of the last layer, "
        f"but got {_listed(y)}; {advice}"
    )


def binary_shape_advice(true_shape: Shape, pred_shape: Shape) -> str:
    """Advise on targets and predictions of a binary loss."""
    if len(pred_shape) == 2 and (pred_shape[-1] or 0) > 1 and (len(true_shape) == 1 or true_shape[-1] == 1):
        return (
            f"the model answers with {pred_shape[-1]} values for each sample; for two classes end it with "
            "Dense(1, activation='sigmoid'), for class numbers use sparse_categorical_crossentropy"
        )
    if len(true_shape) == len(pred_shape) and pred_shape[-1] == 1 and (true_shape[-1] or 0) > 1:
        return (
            f"one-hot targets need {true_shape[-1]} outputs with softmax and categorical_crossentropy; "
            "for one output use np.argmax(y, axis=-1)"
        )
    return mask_shape_advice(true_shape, pred_shape)


def mask_shape_advice(true_shape: Shape, pred_shape: Shape) -> str:
    """Advise on masks that do not have the shape of the prediction."""
    return "targets and predictions need the same height, width and channels"


def categorical_shape_advice(true_shape: Shape, pred_shape: Shape) -> str:
    """Advise on targets of a loss that takes one-hot targets."""
    classes = pred_shape[-1]
    if len(true_shape) == len(pred_shape) - 1 or true_shape[-1] == 1:
        return (
            "they seem to be class numbers: use loss='sparse_categorical_crossentropy', "
            f"or make them one-hot with utils.to_categorical(y, {classes})"
        )
    return f"one-hot targets have {classes} values, one for each unit of the last layer"


def sparse_shape_advice(true_shape: Shape, pred_shape: Shape) -> str:
    """Advise on targets of a loss that takes class numbers."""
    if pred_shape[-1] == 1:
        return (
            "one output cannot tell classes apart: use loss='binary_crossentropy', "
            "or end the model with Dense(2, activation='softmax')"
        )
    if len(true_shape) == len(pred_shape):
        return (
            "they seem to be one-hot: use loss='categorical_crossentropy', "
            "or make them class numbers with np.argmax(y, axis=-1)"
        )
    return "there must be one class number for each prediction"


def _listed(y: np.ndarray) -> str:
    """Return the values found, or their range if they are many."""
    found = np.unique(y)
    if found.size <= 6:
        return "the values " + ", ".join(f"{v:g}" for v in found.astype(float))
    return f"values from {float(found[0]):g} to {float(found[-1]):g}"
