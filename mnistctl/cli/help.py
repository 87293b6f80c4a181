"""The text of the help: what each command does, and tidy types and defaults of its options."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

from mnistctl.cli.output.terminal import print_line

# Not the docstrings of the functions, which `python -OO` removes.
DESCRIPTIONS = {
    "download": "Download a data set and verify it.\n\n"
    "Files that are present and verified are not downloaded again.",
    "import": "Make a data set of your own from folders of pictures, for --dataset own.\n\n"
    "The pictures of each digit are in a folder called like it: 0, 1, ... 9.",
    "show": "Print images of a data set, the layers of a model, the runs, or facts about the machine.\n\n"
    "An image is printed as its label and rows of text. The images are random unless --index is given.",
    "train": "Train a model and save its weights, log, record and images.",
    "trials": "Train models from many seeds and compare their accuracies.",
    "eval": "Evaluate trained models.\n\n"
    "One classifier: loss, accuracy, metrics per digit, confusion matrix, errors and figures.\n"
    "Several classifiers: scores in one table, and a test whether they differ.\n"
    "A generator: how close its images are to real ones, in the features of a classifier.\n"
    "With --image: a classifier's predictions for image files.",
    "generate": "Generate images with a trained generator.\n\n"
    "The data set that it was trained on is not needed.",
}


_MIN_WIDTH = 72  # columns; a narrower terminal gets a help without frames, in which words would be cut


class Tidy:
    """A command whose help is tidy, on terminals of any width."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments, worded for the help.

        A flag has no type, nor has an argument: its name says what it is. A default that is a text is shown
        like others, without parentheses.
        """
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            elif parameter.param_type_name == "argument":
                parameter.display_type = lambda ctx: ""
            if isinstance(default := getattr(parameter, "show_default", None), str):
                parameter.help = f"{parameter.help} \\[default: {default}]"  # not a tag of Rich
                parameter.show_default = False
        return parameters

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, in which the models of installed packages are among those to choose from."""
        for parameter in self.get_params(ctx):
            if parameter.name == "model":
                plain: str = vars(parameter).setdefault("plain_help", parameter.help)
                parameter.help = plain + _package_models()
        width = shutil.get_terminal_size().columns
        if width >= _MIN_WIDTH:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        else:
            for line in self._narrow_help(ctx, width):
                print_line(line)

    def _narrow_help(self, ctx: Any, width: int) -> Iterator[str]:
        """The lines of the help: each option, and below it what it does."""
        command: Any = self
        yield from _indented(" ".join(command.get_usage(ctx).split()), width, 0)
        for paragraph in command.help.splitlines():
            yield from _indented(paragraph, width, 0)
        records = [parameter.get_help_record(ctx) for parameter in self.get_params(ctx)]
        if names := command.list_commands(ctx) if hasattr(command, "list_commands") else []:
            records += [(name, command.get_command(ctx, name).help.partition("\n")[0]) for name in names]
        for name, text in filter(None, records):
            yield from _indented(name, width, 0)
            yield from _indented(text.replace("\\[", "["), width, 4)
        yield from (line.strip() for line in (command.epilog or "").splitlines())


def _package_models() -> str:
    """A sentence about the models that installed packages offer; empty if there are none."""
    from mnistctl.models.sources import package_models

    names = [f"{name} ({package})" for name, package in package_models().items()]
    return f" From packages: {', '.join(names)}." if names else ""


def _indented(text: str, width: int, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(
        text,
        width,
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )


class Group(Tidy, TyperGroup):
    """The program without a command."""
