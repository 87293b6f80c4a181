"""Write the recipe of a shipped model to a file of the user's: `train --copy`."""

import re
import shlex
from contextlib import suppress
from pathlib import Path

from mnistctl.errors import UsageError
from mnistctl.models import GENERATORS


def copy_recipe(name: str, file: str | None) -> None:
    """Write the recipe of a shipped model to a file of the user's, and print what to do with it.

    Raises:
        UsageError: there is no such model, or the file is not named or exists.
        OutputError: the file cannot be written.
    """
    from mnistctl.artifacts import files
    from mnistctl.cli.output.terminal import print_line
    from mnistctl.models import check_name
    from mnistctl.models.sources import ENDING, is_taken

    check_name(name)
    stem = "" if file is None else Path(file).name.removesuffix(ENDING)
    if file is None or not file.endswith(ENDING) or not stem:
        message = f"name the file to write, which ends in {ENDING}"
        raise UsageError(message, field="copy", value=name)
    if is_taken(stem):
        raise UsageError(f"{file}: a model is already called {stem}; name another file")
    path, text = Path(file), _copy(name, Path(file))
    try:
        with path.open("x", encoding="utf-8") as new:  # never replaces a file
            new.write(text)
    except FileExistsError:
        raise UsageError(f"{file}: exists already; name another file") from None
    except OSError as error:
        with suppress(OSError):
            path.unlink()  # what was written of it
        raise files.unwritable(path, error) from None
    print_line(f"wrote {file}; train it with `mnistctl train {shlex.quote(file)}`")


def _copy(name: str, path: Path) -> str:
    """The module of a shipped model as the text of a recipe file at `path`."""
    code = _code_of(name)
    base = re.search(r"^from mnistctl\.models import (\w+)\n\n?", code, re.MULTILINE)
    if base is not None and "def " not in code:  # a variant of another model, whose code the file has in it
        code = code.replace(base[0], "").replace(f"{base[1]}.recipe", "recipe")
        imports, _, recipe = code.partition("\n\n")
        code = f"{imports}\n{_code_of(base[1])}\n{recipe}"
    file = repr(shlex.quote(str(path)))[1:-1].replace('"', '\\"')  # as it is written in a docstring
    what = _GENERATOR_HEADER if name in GENERATORS else _CLASSIFIER_HEADER
    compare = f"Compare it with {name}:"
    return what.format(name=name, file=file, compare=f"{compare:24}") + code


def _code_of(name: str) -> str:
    """The code of a shipped model, without the docstring, whose results are not those of a copy."""
    from mnistctl import models

    module = Path(models.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return module.split('"""', 2)[2].lstrip()


_CLASSIFIER_HEADER = '''"""A recipe of your own, which began as a copy of {name}.

Train it:                mnistctl train {file}
{compare} mnistctl trials {name} {file} -n 6
Look at its layers:      mnistctl show --model {file}
Evaluate it:             mnistctl eval {file}

Change what you like. `recipe` is what is trained. Its net may be any torch.nn.Module that takes pixels
[N, 1, 28, 28] in [-1, 1] and gives logits [N, 10]. Arguments of `net` with default values can be set for a
run: `--set net.NAME=VALUE`. The learning rate is `peak_lr`; the optimizer's own `lr` has no effect. All
fields: docs/own-recipes.md.
"""

'''
_GENERATOR_HEADER = '''"""A recipe of your own, which began as a copy of {name}.

Train it:                mnistctl train {file}
Look at its layers:      mnistctl show --model {file}
Generate images:         mnistctl generate {file}
Evaluate it:             mnistctl eval {file} --judge pretrained

Change what you like. `recipe` is what is trained. Its generator may be any torch.nn.Module that takes noise
[N, 100, 1, 1] and gives images [N, 1, 28, 28] in [-1, 1], its discriminator any that takes images and gives
logits [N]. Their arguments with default values can be set for a run: `--set generator.NAME=VALUE`. The
learning rate is `peak_lr`; the optimizer's own `lr` has no effect. All fields: docs/own-recipes.md.
"""

'''
