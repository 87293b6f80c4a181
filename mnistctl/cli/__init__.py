"""The command line application: its commands, their examples, and option names of earlier versions."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mnistctl import __version__
from mnistctl.cli import download, evaluate, generate, pictures, show, train, trials
from mnistctl.cli.commands import expand_home, resume_unfinished_command
from mnistctl.cli.config_file import list_keys
from mnistctl.cli.errors import describe_error, option_of
from mnistctl.cli.help import DESCRIPTIONS, Group, Tidy
from mnistctl.cli.output import terminal
from mnistctl.errors import MnistctlError, UnfinishedRunError, UsageError

app = typer.Typer(
    cls=Group,
    help="Train, evaluate and understand small image models on MNIST.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(requested: bool) -> None:
    if requested:
        terminal.print_line(f"mnistctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


OLD_OPTIONS = {  # still accepted, hidden from the help
    "--rate": "--lr",
    "--batch": "--batch-size",
    "--threshold": "--min-confidence",
    "--against": "--reference",
}


def _expand_home(parameter: Any, value: Any) -> Any:
    """The value of a parameter with `~` as the home folder in its paths.

    Raises:
        UsageError: there is no such user.
    """
    if isinstance(value, list | tuple):
        return type(value)(_expand_home(parameter, each) for each in value)
    if not str(value).startswith("~") or not (isinstance(value, Path) or os.sep in str(value)):
        return value
    try:
        return type(value)(expand_home(Path(value)))
    except UsageError as error:
        if parameter.param_type_name == "argument":
            raise UsageError(f"{value}: {error.message}") from None
        raise UsageError(error.message, field=parameter.name, value=value) from None


_TYPED = "mnistctl.typed"  # key in the context's `meta`: the old names that were typed, by current name


class Command(Tidy, TyperCommand):
    """A command that also accepts the option names of earlier versions."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name for parameter in self.params for name in parameter.opts}
        try:
            rest = super().parse_args(ctx, [self._current_name(arg, options, ctx) for arg in args])
        except Exception as error:
            if hasattr(error, "ctx") and error.ctx is None:  # of an option without its value
                error.ctx = ctx
            raise
        try:
            parameters = {parameter.name: parameter for parameter in self.params}
            ctx.params = {name: _expand_home(parameters[name], value) for name, value in ctx.params.items()}
        except UsageError as error:
            error.given_by = self._source_of(error, ctx)
            raise
        return rest

    def _current_name(self, arg: str, options: set[str], ctx: Any) -> str:
        """`arg` with the current name of an old option, as in --rate or --rate=0.1."""
        name, equals, value = arg.partition("=")
        current = OLD_OPTIONS.get(name)
        if current not in options:
            return arg
        ctx.meta.setdefault(_TYPED, {})[current] = name
        return current + equals + value

    def invoke(self, ctx: Any) -> Any:
        try:
            with terminal.only_results_on_stdout():
                return super().invoke(ctx)
        except MnistctlError as error:
            if isinstance(error, UnfinishedRunError):
                error.commands["resume"] = resume_unfinished_command(error)
            error.given_by = error.given_by or self._source_of(error, ctx)
            message = describe_error(error)
            for current, old in ctx.meta.get(_TYPED, {}).items():
                if current in message:
                    error.add_note(f"{old} is an earlier name of {current}")
            raise

    def _source_of(self, error: MnistctlError, ctx: Any) -> str | None:
        """What has the value of the error's field: an environment variable, or a key of a configuration file.

        None if the value was typed, or is a default value.
        """
        for parameter in self.params:
            if error.field is None or option_of(error.field) not in parameter.opts:
                continue
            source = getattr(ctx.get_parameter_source(parameter.name), "name", None)
            # An address that may have a password in it is shown as dots.
            if source == "ENVIRONMENT" and str(error.value) in (os.environ.get(str(parameter.envvar)), "..."):
                return str(parameter.envvar)
            config = ctx.params.get("config")
            if source == "DEFAULT" and config is not None and error.field in list_keys(config):
                return f"{config}: {error.field}"
        return None


EXAMPLES = {
    "download": {
        "mnistctl download": "MNIST into data/, every file verified",
        "mnistctl download --dataset fashion": "Fashion-MNIST",
        "mnistctl download --from ~/files": "from a local folder",
    },
    "import": {
        "mnistctl import pictures --data-dir digits": "pictures/0 to pictures/9",
        "mnistctl import pictures --as-is": "28x28 pixels, white on black",
    },
    "show": {
        "mnistctl show --dataset sample": "a digit, without a download",
        "mnistctl show --digit 7 -n 3 --style blocks": "three sevens in shades of grey",
        "mnistctl show --model conv": "its layers and its recipe",
        "mnistctl show --machine": "details for a bug report",
    },
    "train": {
        "mnistctl train --list": "all models",
        "mnistctl train conv": "the full recipe",
        "mnistctl train linear --dataset sample": "without a download",
        "mnistctl train conv --epochs 10 --name short": "writes out/short.*",
        "mnistctl train conv --resume": "continue a stopped run",
        "mnistctl train --copy conv mine.py": "a recipe of your own",
        "mnistctl train gan --tensorboard": "tensorboard --logdir out",
    },
    "trials": {
        "mnistctl trials swa -n 10": "ten seeds",
        "mnistctl trials conv lstm -n 8 --epochs 5": "two models, same seeds",
        "mnistctl trials swa -n 20 --resume": "ten more",
        "mnistctl trials conv -n 5 --vary net.dropout=0,0.25": "values of a setting",
        "mnistctl trials conv swa --compare": "recorded trials",
    },
    "eval": {
        "mnistctl eval conv": "the run out/conv, on the test split",
        "mnistctl eval conv lstm": "two nets on the same images",
        "mnistctl eval conv --dataset fashion": "on another data set",
        "mnistctl eval conv --onnx conv.onnx": "export for ONNX Runtime",
        "mnistctl eval conv --page conv.html": "a page to draw on",
        "mnistctl eval conv --image photo.jpg": "your own image of a digit",
        "mnistctl eval cgan --judge conv": "quality of the generated digits",
    },
    "generate": {
        "mnistctl generate cgan --digits 2026": "these digits, in this order",
        "mnistctl generate gan -n 3 --show": "in the terminal",
        "mnistctl generate cgan --morph": "a GIF of digits that change",
        "mnistctl generate cgan --page cgan.html": "a page that draws digits",
        "mnistctl generate cgan --idx drawn": "a data set to train on",
    },
}


def _examples(command: str) -> str:
    examples = EXAMPLES[command]
    width = max(map(len, examples))
    return "\n".join(["Examples:", *(f"  {line:{width}}  {text}" for line, text in examples.items())])


for name, function in (
    ("download", download.download),
    ("import", pictures.import_),
    ("show", show.show),
    ("train", train.train),
    ("trials", trials.trials),
    ("eval", evaluate.evaluate),
    ("generate", generate.generate),
):
    app.command(name, cls=Command, help=DESCRIPTIONS[name], epilog=_examples(name))(function)
