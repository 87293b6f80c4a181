"""The commands: what can be asked for, and the one call that answers it."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mnistctl import __version__
from mnistctl.cli import download, evaluate, generate, show, train, trials
from mnistctl.cli.output import terminal

app = typer.Typer(
    help="Train, judge and understand small image models on MNIST.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        terminal.print_line(f"mnistctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


OLD_OPTIONS = {  # still accepted, hidden from help
    "--rate": "--lr",
    "--batch": "--batch-size",
    "--threshold": "--min-confidence",
    "--against": "--reference",
}


class Command(TyperCommand):
    """A command that also takes the options' names of before version 0.1.0."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [_current_name(word) for word in args])


def _current_name(word: str) -> str:
    name, equals, value = word.partition("=")
    return OLD_OPTIONS.get(name, name) + equals + value


EXAMPLES = {
    "download": {
        "mnistctl download": "MNIST into data/, every file verified",
        "mnistctl download --dataset fashion": "the pictures of clothes",
        "mnistctl download --from ~/files": "where no mirror is reached",
    },
    "show": {
        "mnistctl show --dataset sample": "a digit, without a download",
        "mnistctl show --digit 7 -n 3 --style blocks": "three sevens, in greys",
        "mnistctl show --model conv": "its layers and its recipe",
        "mnistctl show --machine": "what a report of a fault needs",
    },
    "train": {
        "mnistctl train --list": "what there is to train",
        "mnistctl train conv": "the recipe in full",
        "mnistctl train linear --dataset sample": "without a download",
        "mnistctl train conv --epochs 10 --name short": "files out/short.*",
        "mnistctl train conv --resume": "continue a stopped run",
        "mnistctl train gan --tensorboard": "tensorboard --logdir out",
    },
    "trials": {
        "mnistctl trials swa -n 10": "ten seeds, averaged and not",
        "mnistctl trials conv lstm -n 8 --epochs 5": "two models over the same seeds",
        "mnistctl trials swa -n 20 --resume": "ten more",
    },
    "eval": {
        "mnistctl eval conv": "the run out/conv, on the test digits",
        "mnistctl eval conv --dataset fashion": "on what it never saw",
        "mnistctl eval conv --onnx conv.onnx": "for ONNX Runtime and the like",
        "mnistctl eval conv --image photo.jpg": "a digit of your own",
        "mnistctl eval cgan --judge conv": "how far from real digits it draws",
    },
    "generate": {
        "mnistctl generate cgan --digits 2026": "these digits, in that order",
        "mnistctl generate gan -n 3 --show": "in the terminal",
        "mnistctl generate cgan --morph": "a GIF of digits that change",
        "mnistctl generate cgan --idx drawn": "a data set to train on",
    },
}


def _examples(command: str) -> str:
    told = EXAMPLES[command]
    width = max(map(len, told))
    return "\n".join(["Examples:", *(f"  {words:{width}}  {what}" for words, what in told.items())])


for name, function in (
    ("download", download.download),
    ("show", show.show),
    ("train", train.train),
    ("trials", trials.trials),
    ("eval", evaluate.evaluate),
    ("generate", generate.generate),
):
    app.command(name, cls=Command, epilog=_examples(name))(function)
