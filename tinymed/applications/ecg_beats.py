"""Where are the beats? A simple recurrent network that answers at every step (D4 §3.2).

The hidden state is formula D4-4, the answer formula D4-5 at every step, with two classes, beat and no beat:

    h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)        SimpleRNN(32, return_sequences=True)
    P(y_t = c | x) = softmax of w_c · h_t + b_c       Dense(2, activation="softmax")

A step is 20 ms. The network knows only what has been, so it is asked 60 ms later: at step t, whether there was a beat
at t - 3; by then it has seen the whole QRS complex. The beats are where the probability has its peaks.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymed import files, optimizers, plots
from tinymed.applications import ecg_data
from tinymed.applications.ecg_data import Prepared, Records
from tinymed.applications.run import Prediction, Rows, Settings
from tinymed.datasets.ecg import Record, heart_rate
from tinymed.layers import Dense, SimpleRNN
from tinymed.models import Sequential

RATE = 50.0
"""Steps in a second."""

SECONDS = 10.0
"""Length of the windows to train on."""

DELAY, REACH = 3, 1
"""How many steps later the network is asked; how many steps before and after a beat count as the beat."""

THRESHOLD, APART = 0.5, 0.2
"""Probability at a peak, and seconds between two peaks, from which they are beats: none follows another so soon."""

TOLERANCE = 0.075
"""A found beat within so many seconds of a true one is right."""

_CHUNK, _BEFORE = 600, 50
"""Long records are run through in pieces of so many steps, each begun so many steps earlier."""


def build(units: int = 32) -> Sequential:
    """Build the network of D4 §3.2: formula D4-4, and D4-5 at every step."""
    model = Sequential()
    model.add(SimpleRNN(units, return_sequences=True, input_shape=(None, 1)))
    model.add(Dense(2, activation="softmax"))
    return model


class Beats:
    """How the network is trained on beats, used and tested."""

    name = "beats"
    rate = RATE
    settings = Settings(epochs=12, batch_size=32, learning_rate=0.003)
    drawn = 640

    # --- training ----------------------------------------------------------------------------------------------

    def compiled(self, settings: Settings) -> Sequential:
        """Return the network, ready to be trained."""
        model = build()
        model.compile(
            optimizer=optimizers.Adam(learning_rate=settings.learning_rate, clipnorm=1.0),
            loss="sparse_categorical_crossentropy",
        )
        return model

    def training(self, records: Records, seed: int) -> tuple[Any, tuple[np.ndarray, np.ndarray], dict[str, Any]]:
        """Return what draws an epoch's samples, the validation samples, and what the model file must say."""
        train, val = (ecg_data.prepare(part, RATE) for part in (records.train, records.val))

        def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
            return draw(train, self.drawn, rng)

        about = {"input": {"rate": RATE, "seconds": SECONDS, "raw": False},
                 "answer": {"delay": DELAY, "threshold": THRESHOLD}}  # fmt: skip
        return samples, draw(val, 120, np.random.default_rng(0)), about

    def score(self, model: Any, validation: tuple[np.ndarray, np.ndarray], about: dict[str, Any]) -> float:
        """Return minus the loss on the validation windows: F1 is so near 1 so soon that it chooses nothing."""
        return -float(model.evaluate(*validation, batch_size=128, verbose=0))

    # --- use ---------------------------------------------------------------------------------------------------

    def measure(self, model: Any, records: Sequence[Record], about: dict[str, Any]) -> dict[str, Any]:
        """Return how many of the beats are found, how exactly, and the heart rates that follow from them."""
        right = missed = wrong = 0
        late: list[np.ndarray] = []
        rates: list[tuple[float, float]] = []
        for record in records:
            true, found = record.marked() / record.rate, self.find(model, record)
            if found is None:
                return {"f1": float("nan")}
            pairs = match(found, true)
            right, missed, wrong = right + len(pairs), missed + len(true) - len(pairs), wrong + len(found) - len(pairs)
            late.append(found[pairs[:, 0]] - true[pairs[:, 1]])
            for start in ecg_data.SECONDS * np.arange(int(record.seconds / ecg_data.SECONDS)):
                rates.append(tuple(_rate_between(beats, start) for beats in (true, found)))  # type: ignore[arg-type]
        both = np.array([pair for pair in rates if not np.isnan(pair).any()]).reshape(-1, 2)
        errors = np.concatenate(late) if late else np.empty(0)
        return {
            "f1": 2 * right / max(2 * right + missed + wrong, 1),
            "sensitivity": right / max(right + missed, 1),
            "precision": right / max(right + wrong, 1),
            "beats": right + missed,
            "missed": missed,
            "wrong": wrong,
            "tolerance_ms": 1000 * TOLERANCE,
            "timing_error_ms": 1000 * float(np.abs(errors).mean()) if len(errors) else None,
            "heart_rate_mae": float(np.abs(both[:, 0] - both[:, 1]).mean()) if len(both) else None,
            "_true": both[:, 0],
            "_found": both[:, 1],
        }

    def find(self, model: Any, record: Record) -> np.ndarray | None:
        """Return the times in seconds of the beats that the network finds, None if its outputs are NaN."""
        probability = self.probability(model, ecg_data.envelope(record, RATE))
        return None if np.isnan(probability).any() else peaks(probability) / RATE

    def probability(self, model: Any, values: np.ndarray) -> np.ndarray:
        """Return the probability of a beat at every step, (T,), of a record of any length."""
        count = -(-len(values) // _CHUNK)
        padded = np.zeros(_BEFORE + count * _CHUNK + DELAY, dtype=np.float32)
        padded[_BEFORE : _BEFORE + len(values)] = values
        pieces = [padded[i * _CHUNK : (i + 1) * _CHUNK + _BEFORE + DELAY] for i in range(count)]
        answers = model.predict(np.stack(pieces)[..., None], batch_size=32, verbose=0)[..., 1]
        return answers[:, _BEFORE + DELAY :].reshape(-1)[: len(values)]

    def pictures(self, work: Any, model: Any, records: Sequence[Record], about: dict[str, Any], seen: Any) -> None:
        """Draw pieces of records with their beats, and the heart rates that follow from the beats found."""
        if len(seen["_true"]):
            plots.agreement(
                seen["_true"], seen["_found"], path=work / "agreement.png",
                what="heart rate, from the beats", unit="beats/min",
            )  # fmt: skip
        shown, titles = [], []
        for place, i in enumerate(np.linspace(0, len(records) - 1, 4).astype(int)):
            record, found = records[i], self.find(model, records[i])
            start = 0.0 if len(records) > 2 else max(place * (record.seconds - 11) / 3, 0.0)
            part = record.cut(start, start + 10)
            here = np.asarray(found)[(found >= start) & (found < start + part.seconds)] - start  # type: ignore[operator]
            shown.append((part.signal, part.rate, part.marked() / part.rate, here))
            titles.append(f"{record.name}, from {start:.0f} s")
        plots.strips(shown, titles, path=work / "beats.png")

    def predict(self, model: Any, record: Record, about: dict[str, Any], out: pathlib.Path | None) -> Prediction:
        """Return the number of beats of a record and the heart rate, and write the beats to ``out``."""
        if record.seconds < 1:
            raise ValueError(f"{record.name} has {record.seconds:.2f} s; the network needs one second at least")
        found = self.find(model, record)
        if found is None:
            raise ValueError(f"the model gives NaN for {record.name}; train it again")
        rate = heart_rate(found)
        if out is not None:
            gaps = [f"{gap:.3f}" for gap in np.diff(found)]
            lines = [
                f"{time:.3f},{round(time * record.rate)},{gap}"
                for time, gap in zip(found, ["", *gaps], strict=False)
            ]  # fmt: skip
            name = pathlib.Path(record.name).stem + "_beats.csv"
            files.write_text(out / name, "\n".join(["second,sample,interval_s", *lines, ""]))
        cells = (f"{len(found)} beats", "-" if np.isnan(rate) else f"{rate:.0f} beats/min")
        return Prediction(record.name, cells, {"beats": found, "heart_rate": rate})

    @staticmethod
    def rows(numbers: dict[str, Any]) -> Rows:
        """Return the lines of the table."""
        timing, rate = numbers["timing_error_ms"], numbers["heart_rate_mae"]
        return [
            ("beats", str(numbers["beats"])),
            ("missed, found wrongly", f"{numbers['missed']}, {numbers['wrong']}"),
            ("sensitivity", f"{numbers['sensitivity']:.4f}"),
            ("precision", f"{numbers['precision']:.4f}"),
            (f"F1 within {numbers['tolerance_ms']:.0f} ms", f"{numbers['f1']:.4f}"),
            ("mean error of the time", "-" if timing is None else f"{timing:.0f} ms"),
            ("heart rate from the beats", "-" if rate is None else f"off by {rate:.2f} beats/min"),
        ]


# --- windows, peaks, matching ------------------------------------------------------------------------------------


def draw(records: Sequence[Prepared], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw windows from anywhere in the records: values (N, T, 1), and 0 or 1 for every step (N, T, 1)."""
    x, y = [], []
    for _ in range(count):
        record = records[int(rng.integers(len(records)))]
        first = int(rng.integers(0, len(record.values) - round(SECONDS * RATE) + 1))
        x.append(ecg_data.window(record, first / RATE, SECONDS))
        y.append(labels(record.beats - first / RATE, len(x[-1])))
    return np.stack(x)[..., None], np.stack(y)[..., None]


def labels(beats: np.ndarray, length: int) -> np.ndarray:
    """Return what the network shall say at each step, (T,), int64: 1 for a beat, ``DELAY`` steps later.

    >>> labels(np.array([0.04]), 8).tolist()
    [0, 0, 0, 0, 1, 1, 1, 0]
    """
    y = np.zeros(length, dtype=np.int64)
    steps = np.rint(beats * RATE).astype(int)[:, None] + DELAY + np.arange(-REACH, REACH + 1)
    y[steps[(steps >= 0) & (steps < length)]] = 1
    return y


def peaks(probability: np.ndarray) -> np.ndarray:
    """Return the steps, with fractions, at which beats are: the middles of the hills of the probability."""
    from scipy import signal

    width = 2 * REACH + 1
    hills = np.convolve(probability, np.ones(width) / width, mode="same")
    tops, _ = signal.find_peaks(np.pad(hills, 1), height=THRESHOLD, distance=max(round(APART * RATE), 1))
    around = (tops - 1)[:, None] + np.arange(-width, width + 1)
    inside = (around >= 0) & (around < len(probability))
    weight = np.where(inside, probability[around.clip(0, len(probability) - 1)], 0.0)
    return (weight * around).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)


def match(found: np.ndarray, true: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Pair beats that were found with true ones, each with one at most: (pairs, 2), numbers of both.

    >>> match(np.array([1.0, 1.02, 3.0]), np.array([1.05, 2.0, 3.0])).tolist()
    [[0, 0], [2, 2]]
    """
    pairs, i, j = [], 0, 0
    while i < len(found) and j < len(true):
        if abs(found[i] - true[j]) <= tolerance:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _rate_between(beats: np.ndarray, start: float) -> float:
    """Return the heart rate in eight seconds."""
    return heart_rate(beats[(beats >= start) & (beats < start + ecg_data.SECONDS)])
