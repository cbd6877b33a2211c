"""The command ``tinymed``: train, evaluate, predict and check gradients, without writing a line of Python.

Everything heavy is imported by the command that needs it, so that ``tinymed --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="tinymed",
    help="Deep learning for medical images, written to be read.",
    epilog="After an error, TINYMED_TRACEBACK=1 in the environment shows where in the code it arose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
    except (ValueError, OSError, MemoryError) as error:
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


@app.command()
def train(
    task: Annotated[str, typer.Argument(help="What to learn: nodules (needs no data) or pneumonia.")],
    data: Annotated[Path | None, typer.Option(help="The .npz file with the images, laid out as MedMNIST's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in one step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size of Adam.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 0,
    backend: Backend = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/TASK if omitted.")] = None,
) -> None:
    """Train a network, keep its best epoch, test it, and write the model, its numbers and pictures."""
    with _clear_errors():
        from tinymed import applications

        module = applications.find(task)
        result = module.train(
            data=data,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            backend_name=backend,
            out=out,
        )
        _summarize(result)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file that `tinymed train` wrote.")],
    data: Annotated[Path, typer.Option(help="The .npz file with test_images and test_labels.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    backend: Backend = None,
) -> None:
    """Test a trained model on the images of a file."""
    with _clear_errors(), _on(backend):
        from tinymed.applications import classification

        numbers = classification.evaluate(model, data, split)
        _console().print(_table(numbers, f"{model.name} on {data.name} ({split})"))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model file that `tinymed train` wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Images: .png, .jpg or .npz files.")],
    resize: Annotated[bool, typer.Option("--resize", help="Crop and scale images of another size.")] = False,
    backend: Backend = None,
) -> None:
    """Print the class of each image and its probability."""
    with _clear_errors(), _on(backend):
        from tinymed.applications import classification

        found = classification.predict(model, images, resize)
        width = max(len(item.name) for item in found)
        kinds = max(len(item.label) for item in found)
        for item in found:
            typer.echo(f"{item.name:<{width}}  {item.label:<{kinds}}  {item.probability:.4f}")


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
            status = checker.demonstrate_faults()
        else:
            status = checker.run(names or None, backend=backend, html=None if html is None else str(html))
    raise typer.Exit(int(status or 0))


def _on(backend: str | None) -> Any:
    """Return a context in which the chosen backend is used."""
    if backend is None:
        return contextlib.nullcontext()
    from tinymed.backend import use_backend

    return use_backend(backend)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _table(numbers: dict[str, Any], title: str) -> Any:
    """Return the numbers of an evaluation as a small table."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("images", str(numbers["samples"]))
    for key in ("accuracy", "precision", "recall", "f1", "auc"):
        reason = numbers["undefined"].get(key)
        table.add_row(
            key.upper() if key in ("f1", "auc") else key, f"{numbers[key]:.4f}" if not reason else f"- ({reason})"
        )
    for label, row in zip(numbers["classes"], numbers["confusion_matrix"], strict=True):
        taken = ", ".join(f"{count} as {other}" for count, other in zip(row, numbers["classes"], strict=True))
        table.add_row(f"{label}:", taken)
    return table


def _summarize(result: Any) -> None:
    """Print the test numbers, the files, and what to type next."""
    numbers, console = result.metrics, _console()
    console.print()
    console.print(_table(numbers, f"Test of {numbers['task']}, epoch {numbers['best_epoch']} of {numbers['epochs']}"))
    names = ", ".join(path.name for path in result.files)
    typer.echo(
        f"{numbers['seconds']:.0f} s, {numbers['seconds_training']:.0f} s of it training. In {result.folder}:\n{names}"
    )
    model, examples = (result.folder / name for name in ("model.safetensors", "examples.npz"))
    typer.echo(f"Try: tinymed predict {model} {examples}")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
