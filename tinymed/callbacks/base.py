"""What a callback is, and how training calls several of them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Logs = dict[str, Any]

TOP_LEVEL_HOOKS = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end")
HOOKS = (
    *TOP_LEVEL_HOOKS,
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_begin",
    "on_predict_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
)


class Callback:
    """Something that is told what happens during training: override the hooks that you need.

    ``self.model`` is the model, ``self.params`` a dict with ``epochs``, ``steps`` and ``verbose``. Epochs and batches
    count from 0. ``logs`` holds the loss and metrics so far; what a hook adds to the logs of an epoch appears in the
    history. ``self.model.stop_training = True`` ends training after the current batch.
    """

    model: Any = None
    params: Mapping[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Tell the callback its model, before anything else."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Tell the callback the number of ``epochs`` and ``steps``, and ``verbose``."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Run before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Run after the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Run before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Run after an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a training batch (the older name of ``on_train_batch_begin``)."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a training batch (the older name of ``on_train_batch_end``)."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a training batch."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Run before an evaluation, the validation of an epoch included."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Run after an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of an evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Run before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Run after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of a prediction."""


def _overrides(callback: Callback, hook: str) -> bool:
    """Tell whether a callback does anything in a hook."""
    names = [hook, hook.replace("_train_batch", "_batch")]
    return any(
        getattr(method := getattr(callback, name), "__func__", method) is not getattr(Callback, name)
        for name in dict.fromkeys(names)
        if hasattr(Callback, name)
    )


class CallbackList(Callback):
    """Several callbacks as one; a :class:`History` is added at the end if there is none.

    Reading the loss off a GPU makes the processor wait, so logs of a batch may be handed over as a function that
    returns them: it is called only if some callback looks at batches, and once.

    Arguments:
        callbacks: Callbacks, in the order in which they run; or one; or None.
        add_history: Whether to add a History.
        model: The model they belong to.
        **params: What ``set_params`` tells them.
    """

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None = None,
        add_history: bool = True,
        model: Any = None,
        **params: Any,
    ) -> None:
        from tinymed.callbacks.history import History

        given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or [])
        for item in given:
            if isinstance(item, type):
                raise TypeError(f"callbacks are objects: write {item.__name__}() instead of {item.__name__}")
            if not isinstance(item, Callback):
                raise TypeError(f"callbacks are tinymed.callbacks.Callback objects, got {type(item).__name__}")
        self.callbacks: list[Callback] = [
            part for item in given for part in (item.callbacks if isinstance(item, CallbackList) else [item])
        ]
        if add_history and not any(isinstance(item, History) for item in self.callbacks):
            self.callbacks.append(History())
        self.history = next((item for item in self.callbacks if isinstance(item, History)), None)
        self._listeners = {hook: [item for item in self.callbacks if _overrides(item, hook)] for hook in HOOKS}
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    @property
    def looks_at_batches(self) -> bool:
        """Whether some callback is told of each training batch, and may change something then."""
        return bool(self._listeners["on_train_batch_begin"] or self._listeners["on_train_batch_end"])

    def set_model(self, model: Any) -> None:
        """Tell every callback its model."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Tell every callback the parameters."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def _call(self, hook: str, *where: int, logs: Logs | Callable[[], Logs] | None = None) -> None:
        listeners = self._listeners[hook]
        if listeners and callable(logs):
            logs = logs()
        for callback in listeners:
            getattr(callback, hook)(*where, logs if logs is not None else {})

    def on_train_begin(self, logs: Any = None) -> None:
        """Tell every callback, and make the history the model's."""
        if self.model is not None and self.history is not None:
            self.model.history = self.history
        self._call("on_train_begin", logs=logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_train_end", logs=logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Tell every callback that looks at batches."""
        self._call("on_train_batch_begin", batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell every callback that looks at batches."""
        self._call("on_train_batch_end", batch, logs=logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_test_end", logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Tell every callback that looks at batches."""
        self._call("on_test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell every callback that looks at batches."""
        self._call("on_test_batch_end", batch, logs=logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs: Any = None) -> None:
        """Tell every callback."""
        self._call("on_predict_end", logs=logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Tell every callback that looks at batches."""
        self._call("on_predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell every callback that looks at batches."""
        self._call("on_predict_batch_end", batch, logs=logs)


class LambdaCallback(Callback):
    """A callback made of functions.

    Arguments:
        on_epoch_begin: ``f(epoch, logs)``.
        on_epoch_end: ``f(epoch, logs)``.
        on_train_begin: ``f(logs)``.
        on_train_end: ``f(logs)``.
        on_train_batch_begin: ``f(batch, logs)``.
        on_train_batch_end: ``f(batch, logs)``.
        **kwargs: A function for any other hook.

    Example:
        >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> shout.on_epoch_end(0, {"loss": 0.5})
        0 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[[int, Logs], Any] | None = None,
        on_epoch_end: Callable[[int, Logs], Any] | None = None,
        on_train_begin: Callable[[Logs], Any] | None = None,
        on_train_end: Callable[[Logs], Any] | None = None,
        on_train_batch_begin: Callable[[int, Logs], Any] | None = None,
        on_train_batch_end: Callable[[int, Logs], Any] | None = None,
        **kwargs: Callable[..., Any],
    ) -> None:
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for hook, function in {**named, **kwargs}.items():
            if hook not in HOOKS:
                near = difflib.get_close_matches(hook, HOOKS, n=1)
                raise TypeError(
                    f"LambdaCallback knows no hook {hook!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
            if function is not None:
                if not callable(function):
                    raise TypeError(f"LambdaCallback needs a function for {hook}, got {function!r}")
                setattr(self, hook, function)


def takes_two(function: Callable[..., Any]) -> bool:
    """Tell whether a function can be called with two positional arguments."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a built-in function without a signature
        return True
    return True
