"""How the command line words mistakes in typing: unknown commands and options, values of the wrong type.

Typer's exceptions are in a private module, so they are told apart by their attributes and messages.
"""

import re
import shlex
from typing import Any

from mnistctl.errors import suggest

# The command for a word that is none, as other programs call it or as one may guess.
_MEANT_COMMANDS = {
    "predict": "mnistctl eval NAME --image FILE",
    "classify": "mnistctl eval NAME --image FILE",
    "infer": "mnistctl eval NAME --image FILE",
    "evaluate": "mnistctl eval NAME",
    "test": "mnistctl eval NAME",
    "plot": "mnistctl eval NAME",
    "compare": "mnistctl eval NAME NAME",
    "export": "mnistctl eval NAME --onnx FILE",
    "convert": "mnistctl eval NAME --onnx FILE",
    "models": "mnistctl train --list",
    "list": "mnistctl train --list",
    "ls": "mnistctl train --list",
    "fit": "mnistctl train MODEL",
    "run": "mnistctl train MODEL",
    "resume": "mnistctl train MODEL --resume",
    "sample": "mnistctl generate NAME",
    "draw": "mnistctl generate NAME",
    "data": "mnistctl download",
    "fetch": "mnistctl download",
    "info": "mnistctl show --machine",
    "view": "mnistctl show",
    "help": "mnistctl --help",
    "version": "mnistctl --version",
}

# What to type in place of an option that does not exist, if the command has the option in it.
_MEANT_OPTIONS = {
    "--learning-rate": "--lr",
    "--learning_rate": "--lr",
    "--optimizer": "--set optimizer=NAME",
    "--optim": "--set optimizer=NAME",
    "--momentum": "--set optimizer.momentum=NUMBER",
    "--weight-decay": "--set optimizer.weight_decay=NUMBER",
    "--dropout": "--set net.dropout=NUMBER",
    "--label-smoothing": "--set label_smoothing=NUMBER",
    "--schedule": "--set schedule=NAME",
    "--augment": "--set augment.KEY=NUMBER",
    "--mixup": "--set augment.mixup=NUMBER",
    "--batchsize": "--batch-size",
    "--bs": "--batch-size",
    "--gpu": "--device cuda",
    "--cuda": "--device cuda",
    "--cpu": "--device cpu",
    "--data": "--data-dir",
    "--output": "--out-dir",
    "--num-workers": "--workers",
    "--input": "--image",
    "--file": "--image",
    "--fp16": "--precision bf16",
    "--amp": "--precision bf16",
    "--bf16": "--precision bf16",
    "--force": "--overwrite",
}

# What a value must be, by the beginning of the type's name in the messages of Typer's versions.
_TYPES = {
    "int": "a whole number",
    "number": "a number",
    "float": "a number",
    "bool": "true or false",
}


def describe_usage_error(error: Any) -> str:
    """A usage error of Typer in one line, with what was probably meant; empty if Typer printed the help."""
    message = str(error.format_message())
    if not message:
        return ""
    context = getattr(error, "ctx", None)
    program = "mnistctl" if context is None else str(context.command_path)
    for describe in (
        _unknown_command,
        _unknown_option,
        _extra_argument,
        _wrong_count,
        _unknown_choice,
        _wrong_type,
    ):
        if (better := describe(message, error, context)) is not None:
            message = better
            break
    return message if "`" in message else f"{message} ({program} --help)"


def _unknown_command(message: str, error: Any, context: Any) -> str | None:
    match = re.match(r"No such command '(.*?)'\.", message)
    if match is None:
        return None
    if meant := _MEANT_COMMANDS.get(match[1].lower()):
        return f"no command is called {match[1]!r}; use `{meant}`"
    alike = " or ".join(re.findall(r"'(.*?)'", message.partition("Did you mean ")[2]))
    return f"no command is called {match[1]!r}{f'; did you mean {alike}?' if alike else ''}"


def _unknown_option(message: str, error: Any, context: Any) -> str | None:
    """For an option that does not exist, the one that was meant or the closest one."""
    match = re.fullmatch(r"No such option: (\S+)(?: \(Possible options: (.*)\))?", message)
    if match is None:
        return None
    meant = _MEANT_OPTIONS.get(match[1])
    known = {name for parameter in context.command.params for name in parameter.opts} if context else set()
    if meant is not None and meant.split()[0] in known:
        return f"no option is called {match[1]}; use {meant}"
    hint = suggest(match[1], match[2].split(", ")).removesuffix(";") if match[2] else ""
    return f"no option is called {match[1]}{hint}"


def _extra_argument(message: str, error: Any, context: Any) -> str | None:
    """For a name without its option, as in `show conv`, the command with the option."""
    from mnistctl.cli.options import DATASETS
    from mnistctl.models import CLASSIFIERS, GENERATORS

    match = re.match(r"Got unexpected extra arguments?(?:\(s\))? \(([^\s)]+)", message)
    if match is None or context is None:
        return None
    word, command = match[1], context.info_name
    known = {name for parameter in context.command.params for name in parameter.opts}
    for option, names in (("--dataset", DATASETS), ("--model", (*CLASSIFIERS, *GENERATORS))):
        if word in names and option in known:
            return f"unexpected argument {word!r}; use `{context.command_path} {option} {word}`"
    first = str(context.params.get("model"))
    if command == "train" and word in CLASSIFIERS and first not in GENERATORS:
        return f"train takes one model; use `mnistctl trials {shlex.quote(first)} {word}` for several"
    return f"unexpected argument {word!r}"


def _wrong_count(message: str, error: Any, context: Any) -> str | None:
    """For an argument or a value that is missing, or a value too many: where."""
    if match := re.match(r"Missing argument '(.*?)(?:\.\.\.)?'\.", message):
        return f"missing argument {match[1]}"
    if match := re.match(r"Option '(\S+)' requires an argument\.", message):
        return f"{match[1]}: a value is missing"
    if match := re.match(r"Option '(\S+)' does not take a value\.", message):
        return f"{match[1]} takes no value"
    return None


def _unknown_choice(message: str, error: Any, context: Any) -> str | None:
    pattern = r"Invalid value for '([^\s']+)[^']*': (?:Value error, )?'(.*)' is not one of (.*)\."
    choice = re.fullmatch(pattern, message, re.DOTALL)
    if choice is None:
        return None
    choices = choice[3].replace("'", "")
    hint = suggest(choice[2], choices.split(", ")).removeprefix("; ").removeprefix(";")
    return f"{choice[1]} {shlex.quote(choice[2])}: {f'{hint} ' if hint else ''}choose one of {choices}"


def _wrong_type(message: str, error: Any, context: Any) -> str | None:
    """For a value that cannot be converted, what the option takes: `--epochs many: give a whole number`."""
    match = re.search(r"(?:should be|is not) a valid (\w+)", message)
    wanted = next((text for kind, text in _TYPES.items() if match and match[1].startswith(kind)), None)
    parameter = getattr(error, "param", None)
    if wanted is None or parameter is None:
        return None
    quoted = re.search(r"'([^']*)' is not a valid", message)
    cause: Any = error.__cause__
    value = quoted[1] if quoted else cause.errors()[0].get("input") if hasattr(cause, "errors") else None
    name = parameter.opts[0]
    source = context.get_parameter_source(parameter.name) if context else None
    if source is not None and source.name == "ENVIRONMENT":
        name = f"{parameter.envvar}={value}"
    elif value is not None:
        name = f"{name} {value}"
    return f"{name}: give {wanted}"
