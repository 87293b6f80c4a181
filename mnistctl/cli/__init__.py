"""The commands: what can be asked for, and the one call that answers it."""

from typing import Annotated

import typer

from mnistctl import __version__
from mnistctl.cli import data, judging, training
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
        "mnistctl train conv --dataset sample --batch 100": "on the digits in the package",
        "mnistctl train conv --epochs 10 --name short": "files out/short.*",
        "mnistctl train conv --resume": "go on where it was stopped",
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
    ("download", data.download),
    ("show", data.show),
    ("train", training.train),
    ("trials", training.trials),
    ("eval", judging.evaluate),
    ("generate", judging.generate),
):
    app.command(name, epilog=_examples(name))(function)
