"""Heart rate from eight seconds of an electrocardiogram: the article's recurrent network (P4b, D4 §4.2).

``--network p4b`` is the article's program as it stands: 2000 raw samples, two LSTM layers with ``activation="relu"``,
the last state, Adam with 0.001. It diverges within its ten epochs. Until then nothing is wrong with the gradients: they
are about 1 long. In one record of a batch the state opens the gates that feed it, and from there on the memory of the
first layer grows by half at every step. 200 of the 2000 steps are enough to leave float32, in the forward pass, before
there is a gradient to clip. ``tanh`` bounds the state, and with it what the gates can be fed.

Clipping helps where the loss is huge but finite, as over 200 steps: the gradient leads back, and a step of bounded
length along it does not end as far away on the other side. That needs an optimizer whose step is as long as the
gradient: with plain gradient descent and gradients cut to 0.1 relu learns. Adam divides by the gradient's usual size,
so that it steps as far with clipped gradients as with others, and clipping alone does not save it
(benchmarks/results/ecg.md).

``--network lstm`` is the same network with what makes it learn:

* ``tanh``, the layer's own default, in place of ``relu``;
* the same eight seconds in 200 steps and not 2000, each the strength of the QRS frequencies in 40 ms: raw samples put
  a beat's error hundreds of multiplications away from the answer, and let the network see baseline and hum first;
* the mean of the states of all steps in place of the last one: a rate is a mean over time, and the states of the first
  second count as much as those of the last;
* windows drawn anew for each epoch, a learning rate of 0.003 that falls to 0, and ``clipnorm=1.0``.

Two things that the article does otherwise are not copied, because they are mistakes of method and not choices: the
heart rates are normalised with the mean and spread of the training windows alone, and windows of one record never lie
on both sides of a split.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import files, optimizers, plots
from tinymed.applications import ecg_data
from tinymed.applications.ecg_data import SECONDS, Prepared, Records
from tinymed.applications.run import Prediction, Rows, Settings
from tinymed.datasets.ecg import Record
from tinymed.layers import LSTM, Dense, GlobalAveragePooling1D
from tinymed.models import Sequential
from tinymed.preprocessing.scaling import Standardize

SPEEDS = (0.8, 1.25)
"""How much slower and faster windows of real records are played in training: one heart's rates are nearly alike."""


def build(
    input_shape: tuple[int, int], output_shape: int, activation: str = "relu", averaged: bool = False
) -> Sequential:
    """Build the network of D4 §4.2.2, line for line; with other arguments than its own, what learns better.

    Args:
        input_shape: Steps and channels.
        output_shape: Numbers to tell.
        activation: Of the LSTM layers.
        averaged: Whether the answer follows from the mean of all states of the second layer, not from the last one.
    """
    model = Sequential()
    model.add(LSTM(50, activation=activation, input_shape=input_shape, return_sequences=True))
    model.add(LSTM(50, activation=activation, return_sequences=averaged))
    if averaged:
        model.add(GlobalAveragePooling1D())
    model.add(Dense(output_shape))
    return model


@dataclass(frozen=True)
class HeartRate:
    """How a network is trained on heart rates, used and tested.

    Attributes:
        name: As ``--network`` has it.
        activation: Of the LSTM layers.
        rate: Steps in a second; 250 means raw samples.
        settings: Unless the user says otherwise.
        averaged: Whether the states of all steps make the answer, or the last one alone.
        clipnorm: Length to which longer gradients are cut.
        drawn: Windows drawn anew for each epoch; None for the first one of each record, as the article has it.
    """

    name: str
    activation: str
    rate: float
    settings: Settings
    averaged: bool = False
    clipnorm: float | None = None
    drawn: int | None = None

    # --- training ----------------------------------------------------------------------------------------------

    def compiled(self, settings: Settings) -> Sequential:
        """Return the network, ready to be trained; where windows are drawn anew, the learning rate falls to 0."""
        model = build((round(SECONDS * self.rate), 1), 1, self.activation, self.averaged)
        rate: Any = settings.learning_rate
        if self.drawn is not None:
            rate = optimizers.schedules.CosineDecay(rate, settings.epochs * -(-self.drawn // settings.batch_size))
        optimizer = optimizers.Adam(learning_rate=rate, clipnorm=self.clipnorm)
        model.compile(optimizer=optimizer, loss="mean_squared_error")
        return model

    def training(self, records: Records, seed: int) -> tuple[Any, tuple[np.ndarray, np.ndarray], dict[str, Any]]:
        """Return what draws an epoch's samples, the validation samples, and what the model file must say.

        Args:
            records: To train on and to choose with.
            seed: Of the windows from which the scale of the heart rates is learned.
        """
        train, val = (ecg_data.prepare(part, self.rate) for part in (records.train, records.val))
        speeds = (1.0, 1.0) if records.source == "synthetic" else SPEEDS
        if self.drawn is None:
            fixed = whole(train, 1 if len(train) > 2 else None)
            scale = Standardize().fit(fixed[1])

            def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
                return fixed[0], scale.transform(fixed[1])
        else:
            count = self.drawn
            scale = Standardize().fit(draw(train, 1000, speeds, np.random.default_rng([seed, 1]))[1])

            def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
                x, y = draw(train, count, speeds, rng)
                return x, scale.transform(y)

        x, y = whole(val)
        usual = float(whole(train)[1].mean())  # the mean to compare with, of windows at their own speed
        answer = {"mean": _number(scale.mean), "spread": _number(scale.spread), "usual": usual}
        return samples, (x, scale.transform(y)), {"input": self._input(), "answer": answer}

    def _input(self) -> dict[str, Any]:
        return {"rate": self.rate, "seconds": SECONDS, "raw": self.rate == ecg_data.RAW}

    def score(self, model: Any, validation: tuple[np.ndarray, np.ndarray], about: dict[str, Any]) -> float:
        """Return minus the mean absolute error on the validation windows, in beats in a minute."""
        spread = about["answer"]["spread"]
        return -spread * float(np.abs(model.predict(validation[0], batch_size=128, verbose=0) - validation[1]).mean())

    # --- use ---------------------------------------------------------------------------------------------------

    def rates(self, model: Any, record: Prepared, begin: np.ndarray, about: dict[str, Any]) -> np.ndarray:
        """Return the heart rates that the network finds in windows of a record that begin at these times, (N,)."""
        x = np.stack([ecg_data.window(record, start) for start in begin])[..., None]
        found = model.predict(x, batch_size=128, verbose=0)[:, 0].astype(float)
        return found * about["answer"]["spread"] + about["answer"]["mean"]

    def measure(self, model: Any, records: Sequence[Record], about: dict[str, Any]) -> dict[str, Any]:
        """Return the errors on windows that lie end to end, the two lists of rates, and the prepared records."""
        prepared = ecg_data.prepare(records, self.rate)
        begins = [ecg_data.starts(record) for record in prepared]
        pairs = [(record, begin) for record, begin in zip(prepared, begins, strict=True) if len(begin)]
        if not pairs:
            raise ValueError(f"no window of {SECONDS:g} s with two beats in {', '.join(r.name for r in records)}")
        true = np.concatenate([[ecg_data.rate_of(record, start) for start in begin] for record, begin in pairs])
        found = np.concatenate([self.rates(model, record, begin, about) for record, begin in pairs])
        error = found - true
        return {
            "mae": float(np.abs(error).mean()),
            "rmse": float(np.sqrt((error**2).mean())),
            "bias": float(error.mean()),
            "limits_of_agreement": [float(error.mean() + s * 1.96 * error.std()) for s in (-1, 1)],
            "within_5": float((np.abs(error) <= 5).mean()),
            "mae_of_mean": float(np.abs(about["answer"]["usual"] - true).mean()),
            "windows": len(true),
            "_true": true,
            "_found": found,
        }

    def pictures(self, work: Any, model: Any, records: Sequence[Record], about: dict[str, Any], seen: Any) -> None:
        """Draw predicted against true heart rates, and some windows."""
        plots.agreement(seen["_true"], seen["_found"], path=work / "agreement.png", what="heart rate", unit="beats/min")
        some = [records[i] for i in np.linspace(0, len(records) - 1, 4).astype(int)]
        shown, titles = [], []
        for place, record in enumerate(some):
            start = 0.0 if len(records) > 2 else SECONDS * int(place * (record.seconds / SECONDS - 1) / 3)
            part = record.cut(start, start + SECONDS)
            (prepared,) = ecg_data.prepare([part], self.rate)
            found = self.rates(model, prepared, np.zeros(1), about)[0]
            shown.append(part)
            titles.append(
                f"{part.name}, from {start:.0f} s: predicted {found:.0f}, true {part.heart_rate:.0f} beats/min"
            )
        plots.strips([(part.signal, part.rate, part.marked() / part.rate, None) for part in shown],
                     titles, path=work / "windows.png")  # fmt: skip

    def predict(self, model: Any, record: Record, about: dict[str, Any], out: pathlib.Path | None) -> Prediction:
        """Return the mean heart rate of a record and its range, and write those of all windows to ``out``."""
        if record.seconds < SECONDS:
            raise ValueError(f"{record.name} has {record.seconds:.1f} s; the network needs {SECONDS:g} s at least")
        values = ecg_data.raw(record) if self.rate == ecg_data.RAW else ecg_data.envelope(record, self.rate)
        prepared = Prepared(values, self.rate, np.empty(0))
        begin = SECONDS * np.arange(max(int(len(values) / self.rate / SECONDS), 1))
        found = self.rates(model, prepared, begin, about)
        if out is not None:
            lines = [f"{start:g},{start + SECONDS:g},{rate:.2f}" for start, rate in zip(begin, found, strict=True)]
            name = pathlib.Path(record.name).stem + "_heart_rate.csv"
            files.write_text(out / name, "\n".join(["start_s,end_s,beats_per_minute", *lines, ""]))
        cells = (f"{found.mean():.0f} beats/min", f"({found.min():.0f} to {found.max():.0f})")
        return Prediction(record.name, cells, {"heart_rate": float(found.mean()), "starts": begin, "rates": found})

    @staticmethod
    def rows(numbers: dict[str, Any]) -> Rows:
        """Return the lines of the table."""
        low, high = numbers["limits_of_agreement"]
        return [
            ("windows of 8 s", str(numbers["windows"])),
            ("mean absolute error", f"{numbers['mae']:.2f} beats/min"),
            ("of predicting the mean", f"{numbers['mae_of_mean']:.2f} beats/min"),
            ("bias", f"{numbers['bias']:+.2f} beats/min"),
            ("95 % of the errors", f"{low:+.1f} to {high:+.1f} beats/min"),
            ("within 5 beats/min", f"{numbers['within_5']:.1%}"),
        ]


# --- windows ---------------------------------------------------------------------------------------------------


def draw(
    records: Sequence[Prepared], count: int, speeds: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw windows from anywhere in the records: values (N, T, 1) and heart rates (N, 1)."""
    x: list[np.ndarray] = []
    y: list[float] = []
    while len(x) < count:
        record, speed = records[int(rng.integers(len(records)))], rng.uniform(*speeds)
        start = rng.uniform(0, len(record.values) / record.rate - SECONDS * speed - 1 / record.rate)
        rate = speed * ecg_data.rate_of(record, start, SECONDS * speed)
        if not np.isnan(rate):
            x.append(ecg_data.window(record, start, SECONDS, speed))
            y.append(rate)
    return np.stack(x)[..., None], np.asarray(y, dtype=np.float32)[:, None]


def whole(records: Sequence[Prepared], most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cut windows that lie end to end, ``most`` from each record: values (N, T, 1) and heart rates (N, 1)."""
    pairs = [(record, start) for record in records for start in ecg_data.starts(record)[:most]]
    x = np.stack([ecg_data.window(record, start) for record, start in pairs])
    y = [ecg_data.rate_of(record, start) for record, start in pairs]
    return x[..., None], np.asarray(y, dtype=np.float32)[:, None]


def _number(array: Any) -> float:
    return float(np.asarray(array)[0])


LSTM_NETWORK = HeartRate(
    "lstm", "tanh", 25.0, Settings(epochs=40, batch_size=32, learning_rate=0.003), True, clipnorm=1.0, drawn=960
)
P4B = HeartRate("p4b", "relu", ecg_data.RAW, Settings(epochs=10, batch_size=32, learning_rate=0.001))
