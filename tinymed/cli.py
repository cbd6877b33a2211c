"""The command ``tinymed``: train, evaluate, predict, check gradients and machines, without writing a line of Python.

Everything heavy is imported by the command that needs it, so that ``tinymed --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tinymed.applications import TASKS

app = typer.Typer(
    name="tinymed",
    help="Deep learning for medical images, written to be read.",
    epilog="After an error, TINYMED_TRACEBACK=1 in the environment shows where in the code it arose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_TASKS = "\n".join(["\b", *(f"{name:<13} {about}" for name, about in TASKS.items())])

Backend = Annotated[str | None, typer.Option(help="Array library: numpy, cupy, or another with the array API.")]


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what can go wrong with files, data and options into one line on stderr and an exit status."""
    try:
        yield
    except BrokenPipeError:  # `tinymed predict ... | head`: nobody reads on, which typer ends quietly
        raise
    except KeyboardInterrupt as error:
        _complain("interrupted", error)
        raise typer.Exit(130) from None
    except (ValueError, OSError, MemoryError, ImportError) as error:  # ImportError: an optional reader is missing
        if os.environ.get("TINYMED_TRACEBACK"):
            raise
        _complain(_words(error), error)
        raise typer.Exit(1) from None


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); take fewer images or a smaller batch".replace(" ()", "")
    return str(error)


def _complain(message: str, error: BaseException) -> None:
    """Print a message and the error's notes as one line."""
    line = "; ".join([message, *getattr(error, "__notes__", [])])
    print("tinymed: " + " ".join(line.split()), file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        from tinymed import __version__

        typer.echo(f"tinymed {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(
    help="Train a network, keep its best epoch, test it, and write the model, its numbers and pictures.\n\n" + _TASKS
)
def train(
    task: Annotated[str, typer.Argument(help="What to learn: one of the names above.", show_default=False)],
    data: Annotated[Path | None, typer.Option(help="Your own file or folder; synthetic data if omitted.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training samples.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples in one step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size of the optimizer.")] = None,
    network: Annotated[str | None, typer.Option(help="Which network, for tasks that have several.")] = None,
    loss: Annotated[str | None, typer.Option(help="Which loss, for tasks that have several.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 0,
    backend: Backend = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/TASK if omitted.")] = None,
) -> None:
    """Train a task."""
    with _clear_errors():
        from tinymed import applications
        from tinymed.applications.run import accepts

        module = applications.find(task)
        options = accepts(
            module.train,
            task,
            data=data,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            network=network,
            loss=loss,
            seed=seed,
            backend_name=backend,
            out=out,
        )
        _summarize(module, module.train(**options))


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file that `tinymed train` wrote.")],
    data: Annotated[Path, typer.Option(help="File or folder with the data, as for training.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    backend: Backend = None,
) -> None:
    """Test a trained model on data whose answers are known."""
    with _clear_errors(), _on(backend):
        from tinymed import applications

        module = applications.owner(model)
        numbers = module.evaluate(model, data, split)
        _console().print(_table(module.rows(numbers), f"{model.name} on {data.name} ({split})"))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model file that `tinymed train` wrote.")],
    inputs: Annotated[list[Path], typer.Argument(help="Images, volumes or records, as the task takes them.")],
    resize: Annotated[bool, typer.Option("--resize", help="Crop and scale images of another size.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for what is found, where it is a file.")] = None,
    backend: Backend = None,
) -> None:
    """Print what a model finds in each input, such as its class and the probability."""
    with _clear_errors(), _on(backend):
        from tinymed import applications
        from tinymed.applications.run import accepts

        _folder(out)
        module = applications.owner(model)
        options = accepts(module.predict, module.__name__.rpartition(".")[2], resize=resize or None, out=out)
        _columns([(item.name, *item.cells) for item in module.predict(model, inputs, **options)])


@app.command()
def explain(
    model: Annotated[Path, typer.Argument(help="Model file of a classifier that `tinymed train` wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Images in .png, .jpg or .npz files.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures, one for each image.")] = Path("explanations"),
    target: Annotated[str | None, typer.Option(help="Name of the class to explain; the predicted one.")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer for Grad-CAM; the last one that still has places.")] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Crop and scale images of another size.")] = False,
    backend: Backend = None,
) -> None:
    """Draw what a classifier looked at in each image: Grad-CAM, saliency, integrated gradients, occlusion."""
    with _clear_errors(), _on(backend):
        from tinymed.applications.explanation import explain

        _folder(out)
        _columns(
            [
                (item.name, *item.cells)
                for item in explain(model, images, out, target=target, layer=layer, resize=resize)
            ]
        )


@app.command()
def crossvalidate(
    task: Annotated[str, typer.Argument(help="A task with two classes of images, such as nodules or pneumonia.")],
    folds: Annotated[int, typer.Option(help="Number of parts; each is tested once.")] = 5,
    data: Annotated[Path | None, typer.Option(help="Your own file; synthetic data if omitted.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training samples.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 0,
    backend: Backend = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/TASK-folds if omitted.")] = None,
) -> None:
    """Train and test on each of several parts of the data, patients kept whole; print mean and spread."""
    with _clear_errors():
        from tinymed import applications
        from tinymed.applications import crossvalidation

        module = applications.find(task)
        options: Any = {"folds": folds, "data": data, "epochs": epochs, "seed": seed, "backend_name": backend}
        _summarize(crossvalidation, crossvalidation.crossvalidate(module, out=out, **options))


@app.command()
def gradcheck(
    names: Annotated[list[str] | None, typer.Argument(help="What to check; everything if omitted.")] = None,
    backend: Backend = None,
    html: Annotated[Path | None, typer.Option(help="Also write the report to this file, with pictures.")] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Show that deliberate mistakes are caught.")] = False,
) -> None:
    """Check every gradient numerically; the exit status is 1 if any is wrong."""
    with _clear_errors():
        from tinymed import gradcheck as checker

        if faults:
            with _on(backend):
                status = checker.demonstrate_faults()
        else:
            status = checker.run(names or None, backend=backend, html=None if html is None else str(html))
    raise typer.Exit(int(status or 0))


def _folder(out: Path | None) -> None:
    """Refuse a file where a folder is meant, before there is anything to write."""
    if out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose another folder with --out")


def _columns(lines: list[tuple[str, ...]]) -> None:
    """Print lines of cells, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


@app.command()
def bench(
    networks: Annotated[list[str] | None, typer.Argument(help="P0, P3 or P4b; all of them if omitted.")] = None,
    seconds: Annotated[float, typer.Option(help="How long each way is timed for.")] = 1.0,
    out: Annotated[Path, typer.Option(help="Where to save the picture.")] = Path("bench.png"),
    backend: Backend = None,
) -> None:
    """Time a training step of the articles' networks: textbook formulas against kernels."""
    with _clear_errors(), _on(backend):
        from tinymed.bench import bench as measure
        from tinymed.bench import rows

        head, *lines = rows(measure(networks or None, seconds, out))
        _console().print(_table(lines, "Milliseconds for a training step of 32 samples", head))
        typer.echo(f"Picture: {out}. Beside PyTorch and Keras: python -m benchmarks.peers, in the repository.")


@app.command()
def doctor() -> None:
    """Tell what is installed, what computes here, and how to mend what does not."""
    with _clear_errors():
        from tinymed.diagnosis import doctor as examine

        healthy = examine()
    raise typer.Exit(int(not healthy))


def _on(backend: str | None) -> Any:
    """Return a context in which the chosen backend is used."""
    if backend is None:
        return contextlib.nullcontext()
    from tinymed.backend import use_backend

    return use_backend(backend)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _table(rows: Sequence[tuple[str, ...]], title: str, head: tuple[str, ...] = ("", "")) -> Any:
    """Return lines of names and numbers as a small table."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(head))
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _summarize(module: Any, result: Any) -> None:
    """Print the test numbers, the files, and what to type next."""
    numbers, console = result.metrics, _console()
    console.print()
    best = f", epoch {numbers['best_epoch']} of {numbers['epochs']}" if "best_epoch" in numbers else ""
    console.print(_table(module.rows(numbers), f"Test of {numbers['task']}{best}"))
    names = ", ".join(path.name for path in result.files)
    training = f", {numbers['seconds_training']:.0f} s of it training" if "seconds_training" in numbers else ""
    typer.echo(f"{numbers['seconds']:.0f} s{training}. In {result.folder}:\n{names}")
    examples = [path for path in result.files if path.stem == "examples"]
    if examples:
        typer.echo(f"Try: tinymed predict {result.folder / 'model.safetensors'} {examples[0]}")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
