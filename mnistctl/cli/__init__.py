"""The commands: what can be asked for, and the one call that answers it."""

from typing import Annotated

import typer

from mnistctl import __version__
from mnistctl.cli import data, judging, training
from mnistctl.models import CLASSIFIERS, GENERATORS
from mnistctl.report import terminal

app = typer.Typer(
    help="Train, judge and understand small image models on MNIST.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        terminal.line(f"mnistctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


_MODELS, _CLASSIFIERS = (
    "\n\n".join(f"{name}: {sentence}" for name, sentence in catalogue.items())
    for catalogue in (CLASSIFIERS | GENERATORS, CLASSIFIERS)
)
app.command()(data.download)
app.command()(data.show)
app.command(epilog=_MODELS)(training.train)
app.command(epilog=_CLASSIFIERS)(training.trials)
app.command("eval")(judging.evaluate)
app.command()(judging.generate)
