"""A training step recorded once as a CUDA graph, and replayed: small networks no longer wait for Python.

What a GPU records is a list of launches with fixed addresses and fixed numbers. So, for batches of one shape:

* **inputs** are copied into arrays that stay; a last, smaller batch is computed as before;
* **numbers that change** (learning rate, bias correction, random counters; see :mod:`tinymed.live`) stand in places on
  the device, into which is written before each replay what their functions return then; counters such as
  ``optimizer.iterations`` count on;
* **state that a step makes anew** (metric sums, moving averages) is copied back to where it came from.

What a step changes is not declared by layers or optimizers, it is watched (:mod:`tinymed.models.places`). And nothing
is taken on trust: a step is rehearsed before it is recorded, then one step is both replayed and computed, and every
weight, slot, sum and counter must be the same, bit for bit. What cannot be recorded (a layer that looks at values on
the host, a step that takes another way each time) is computed as before, and ``model.capture_reason`` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinymed import backend
from tinymed.live import recording
from tinymed.models.cuda_graphs import CannotRecord, CudaGraphs, Graphs
from tinymed.models.numbers import Numbers
from tinymed.models.places import Places, Saved, alike, copied, same
from tinymed.precision import get_precision
from tinymed.progress import message

Part = Sequence[Any]
"""The inputs, the targets, or the weights of a batch; None where there are no weights."""


class Computed:
    """A model's ``train_step``, as it is.

    Arguments:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, xs: Part, ys: Part, weights: Part) -> None:
        """Take one step."""
        self.model.train_step(xs, ys, weights)

    def changed(self) -> None:
        """Hear that somebody else may have changed something: a callback, the end of an epoch."""


class Recorded(Computed):
    """A model's ``train_step`` that records itself after a few calls.

    The first call is computed: it makes slots and sums. The second is watched, to find counters and what is made anew.
    The third is rehearsed, with places in the place of numbers, and then recorded. The fourth is computed, so that
    numbers are no longer what they were when it was recorded; the fifth is replayed and computed, to compare. From then
    on steps are replayed.

    Arguments:
        model: The model.
        graphs: Records and replays.
        tells: Whether to print why, if steps cannot be recorded.
    """

    ATTEMPTS = 8
    """How often settings may change before recording is given up."""

    def __init__(self, model: Any, graphs: Graphs, tells: bool = False) -> None:
        super().__init__(model)
        self.graphs, self.tells = graphs, tells
        self._shapes: Any = None
        self._attempts = 0
        self._begin()

    def _begin(self) -> None:
        self._take: Callable[[Part, Part, Part], None] = self._first
        self._replay: Callable[[], None] | None = None
        self._numbers = Numbers(self.graphs)
        self._changed = True

    def changed(self) -> None:
        """Hear that somebody else may have changed something: a callback, the end of an epoch."""
        self._changed = True

    def __call__(self, xs: Part, ys: Part, weights: Part) -> None:
        """Take one step."""
        shapes = tuple(None if x is None else (tuple(x.shape), str(x.dtype)) for x in (*xs, *ys, *weights))
        self._shapes = self._shapes or shapes
        (self._take if shapes == self._shapes else self._compute)(xs, ys, weights)

    def _compute(self, *batch: Part) -> None:
        self._changed = True
        self.model.train_step(*batch)

    def _give_up(self, reason: str) -> None:
        self._begin()
        self._take = self._compute
        self.model.capture_reason = reason
        if self.tells:
            message(f"{self.model.name}: steps are launched anew each time, not recorded: {reason}")

    # --- step by step ------------------------------------------------------------------------------------------

    def _first(self, *batch: Part) -> None:
        self._compute(*batch)
        self._attempts += 1
        if self._attempts > self.ATTEMPTS:
            self._give_up("what belongs to the model changes again and again: there are no two steps alike to record")
        else:
            self._take = self._watch

    def _watch(self, *batch: Part) -> None:
        before = Places(self.model)
        self._compute(*batch)
        after = Places(self.model)
        if before.leaves.keys() != after.leaves.keys():  # an epoch has begun, or an epoch has but one step
            self._take = self._first
            return
        self._counters: dict[str, int] = {}
        old, new = before.settings(), after.settings()
        for path in old.keys() & new.keys():
            if type(old[path]) is int and type(new[path]) is int and old[path] != new[path]:
                self._counters[path] = new[path] - old[path]
            elif not same(old[path], new[path]):
                self._give_up(f"a step changes {path}, which is neither a counter nor an array")
                return
        arrays = before.arrays()
        self._anew = [path for path, array in arrays.items() if after.leaves[path][2] is not array]
        if old.keys() != new.keys() or not all(alike(arrays[path], after.leaves[path][2]) for path in self._anew):
            self._give_up("a step changes the shape of what belongs to the model")
            return
        self._take = self._record

    def _record(self, *batch: Part) -> None:
        leaves = Places(self.model).leaves
        if any(path not in leaves for path in self._anew):  # the sums of a new epoch are not there yet
            self._compute(*batch)
            return
        saved: Saved | None = None
        try:
            saved = Saved(self.model)
            self._inputs = [[None if x is None else copied(x) for x in part] for part in batch]
            self._homes = {path: copied(leaves[path][2]) for path in self._anew}
            self._run_body(at_once=True)
            rehearsed = Saved(self.model)
        except Exception as error:
            self._take_back(saved, error)
            self._compute(*batch)
            return
        try:
            self._replay = self.graphs.capture(lambda: self._run_body(at_once=False))
            self._check(rehearsed.places.settings(), Places(self.model))
        except Exception as error:
            self._take_back(rehearsed, error)
            return
        rehearsed.restore()
        places = Places(self.model)
        self._settings, self._arrays, self._precision = places.settings(), places.arrays(), get_precision()
        self._take = self._wait

    def _take_back(self, saved: Saved | None, error: Exception) -> None:
        """Go back to where recording began, and give it up."""
        if saved is not None:
            saved.restore()
        self._give_up(_reason(error))

    def _run_body(self, at_once: bool) -> None:
        """Take a step on the arrays that stay, and copy what it makes anew to where that stays."""
        self._numbers.begin(at_once)
        with recording(self._numbers):
            self.model.train_step(*self._inputs)
        leaves, homes = Places(self.model).leaves, {id(home) for home in self._homes.values()}
        made = {path: leaves[path][2] for path in self._homes}
        for path, array in made.items():
            if not alike(self._homes[path], array):
                raise CannotRecord(f"a step changes the shape of {path}")
            if id(array) in homes:  # one home to another: read all before any is written
                made[path] = copied(array)
        for path, home in self._homes.items():
            home[...] = made[path]
            container, key, _ = leaves[path]
            container[key] = home

    def _wait(self, *batch: Part) -> None:
        self._compute(*batch)
        self._take = self._verify

    def _verify(self, *batch: Part) -> None:
        if not self._settled(*batch):
            return
        before: Saved | None = None
        try:
            before = Saved(self.model)
            self._run(*batch)
            replayed = Saved(self.model)
        except Exception as error:
            self._take_back(before, error)
            self._compute(*batch)
            return
        before.restore()
        self._compute(*batch)
        different = replayed.first_difference(self.model)
        if different is None:
            self._take = self._again
        else:
            self._give_up(f"a replayed step and a computed one differ in {different}")

    def _again(self, *batch: Part) -> None:
        if self._settled(*batch):
            self._run(*batch)

    def _run(self, *batch: Part) -> None:
        for homes, given in zip(self._inputs, batch, strict=True):
            for home, x in zip(homes, given, strict=True):
                if home is not None:
                    home[...] = x
        counters = [(*self._leaves[path][:2], step) for path, step in self._counters.items()]
        next_counts = [container[key] + step for container, key, step in counters]
        self._numbers.refresh()
        self._replay()  # type: ignore[misc]  # there is one by now
        for (container, key, _), count in zip(counters, next_counts, strict=True):
            container[key] = count

    # --- what others have changed ------------------------------------------------------------------------------

    def _settled(self, *batch: Part) -> bool:
        """Bring all arrays to where the recorded step looks for them; where that cannot be, compute the step."""
        if not self._changed:
            return True
        places = Places(self.model)
        if any(path not in places.leaves for path in self._homes):  # the sums of a new epoch are not there yet
            self._compute(*batch)
            return False
        try:
            self._check(self._settings, places)
            self._bring_home(places)
        except CannotRecord:
            self._begin()
            self._take(*batch)
            return False
        self._leaves, self._changed = places.leaves, False
        return True

    def _check(self, settings: dict[str, Any], places: Places) -> None:
        """Raise CannotRecord unless all settings, but for counters, are what they were."""
        found = places.settings()
        if settings.keys() != found.keys():
            raise CannotRecord(f"{min(settings.keys() ^ found.keys())} comes or goes")
        for path, setting in settings.items():
            if path not in self._counters and not same(setting, found[path]):
                raise CannotRecord(f"{path} changes")

    def _bring_home(self, places: Places) -> None:
        if places.arrays().keys() != self._arrays.keys() or get_precision() != self._precision:
            raise CannotRecord("other arrays, or another precision")
        for path, home in self._arrays.items():
            container, key, found = places.leaves[path]
            if found is not home:
                if isinstance(container, tuple) or not alike(home, found):
                    raise CannotRecord(f"{path} was replaced")
                home[...] = found
                container[key] = home


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CannotRecord) else f"{type(error).__name__}: {text}"


def training_step(model: Any, tells: bool = False) -> Computed:
    """Return what ``fit`` calls for each batch: the model's ``train_step``, recorded where that can be done.

    Arguments:
        model: The model.
        tells: Whether to print why, if steps cannot be recorded; ``model.capture_reason`` says it in any case.
    """
    model.capture_reason = None
    if backend.get_backend() != "cupy":
        model.capture_reason = f"only CUDA records steps, and the arrays are those of {backend.get_backend()}"
    elif model.run_eagerly:
        model.capture_reason = "the model was compiled with run_eagerly=True"
    else:
        return Recorded(model, CudaGraphs(), tells)
    return Computed(model)
