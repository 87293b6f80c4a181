"""Options that several commands share, their panels in the help, and their defaults."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from mnistctl.cli import completion
from mnistctl.errors import UsageError

# The keys of datasets.DATASETS, repeated here because --help must not load that module.
DatasetName = Literal["mnist", "fashion", "sample", "own"]
DATASETS: tuple[str, ...] = get_args(DatasetName)
SplitName = Literal["train", "test"]
EvaluatedSplit = Literal["train", "test", "validation"]

# Panels of the help.
DATA, MACHINE, OUTPUT, RECIPE, RESUME = "Data", "Machine", "Output", "Recipe", "Resume"
COMPARISON = "Comparison"
OTHER_RECIPES = "Nets of your own"
GENERATOR, OTHER, IMAGES = "Evaluation of a generator", "Instead of data set images", "Image files"


def flag(*names: str, **settings: Any) -> Any:
    """An option that takes no value. Without `metavar` the help would show one for it."""
    return typer.Option(*names, metavar="", **settings)


def refuse_ignored(context: typer.Context, subject: str, used: Collection[str]) -> None:
    """Refuse what is on the command line (not in the environment) and would be ignored.

    Args:
        context: the command's context.
        subject: the option that decides what the command does, or what that is in words.
        used: the parameters that it uses.

    Raises:
        UsageError: there is another one.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in used and source is not None and source.name == "COMMANDLINE":
            argument = not parameter.opts[0].startswith("-")
            name = repr(context.params[parameter.name or ""]) if argument else parameter.opts[0]
            raise UsageError(f"{name} cannot be combined with {subject}")


# Data.
_DATA_DIR_HELP = "Folder with the data set's files."
Dataset = Annotated[DatasetName, typer.Option(help="Data set.", rich_help_panel=DATA)]
DataDir = Annotated[Path, typer.Option(envvar="MNISTCTL_DATA_DIR", help=_DATA_DIR_HELP, rich_help_panel=DATA)]
Split = Annotated[SplitName, typer.Option(help="Train or test split.", rich_help_panel=DATA)]
Offline = Annotated[
    bool,
    flag("--offline", envvar="MNISTCTL_OFFLINE", help="Never download missing files.", rich_help_panel=DATA),
]

# Machine.
Device = Annotated[
    str,
    typer.Option(
        envvar="MNISTCTL_DEVICE",
        help="auto (a GPU if there is one), cpu, cuda, cuda:N or mps.",
        rich_help_panel=MACHINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(envvar="MNISTCTL_THREADS", help="Number of CPU threads.", rich_help_panel=MACHINE),
]

# Recipes.
RecipeFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        help="Recipe file of a net that was trained from one; it is executed.",
        rich_help_panel=OTHER_RECIPES,
    ),
]
AllowOtherRecipe = Annotated[
    bool,
    flag(
        "--allow-inexact",
        help="Use a recipe file that differs from the one of the training.",
        rich_help_panel=OTHER_RECIPES,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting that `show --model` lists; repeatable.",
        rich_help_panel=RECIPE,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings and options in TOML.", rich_help_panel=RECIPE),
]

Holdout = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Hold out N training digits, and score them in the place of the test set.",
        rich_help_panel=DATA,
    ),
]

# Training runs. None means: not given, use the recipe's, the record's or the default value.
Epochs = Annotated[int | None, typer.Option(help="Number of training epochs.", rich_help_panel=RECIPE)]
BatchSize = Annotated[int | None, typer.Option(help="Batch size.", rich_help_panel=RECIPE)]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.", rich_help_panel=RECIPE)]
OptionalDataset = Annotated[
    DatasetName | None, typer.Option(help="Data set.", show_default="mnist", rich_help_panel=DATA)
]
OptionalDataDir = Annotated[
    Path | None,
    typer.Option(envvar="MNISTCTL_DATA_DIR", help=_DATA_DIR_HELP, show_default="data", rich_help_panel=DATA),
]
Precision = Annotated[
    Literal["float32", "bf16"] | None,
    typer.Option(
        help="Precision of the forward pass in training.", show_default="float32", rich_help_panel=MACHINE
    ),
]
Overwrite = Annotated[
    bool, flag("--overwrite", help="Replace existing files of this name.", rich_help_panel=OUTPUT)
]
OverwriteFiles = Annotated[
    bool, flag("--overwrite", help="Replace files that the options name.", rich_help_panel=OUTPUT)
]
Resume = Annotated[
    bool,
    flag(
        "--resume",
        help="Continue from the last saved state, with the original options.",
        rich_help_panel=RESUME,
    ),
]

# Trained models and images.
Seed = Annotated[int | None, typer.Option(help="Random seed.", show_default="0")]
COUNT = typer.Option("-n", "--count", help="Number of images.")


def net_argument(in_package: str) -> Any:
    """The argument for a trained model; `in_package` is the name of one in the package."""
    return typer.Argument(
        metavar="NAME|FILE",
        help=f"Name of a trained model in out/, {in_package}, or path of a checkpoint or of its recipe file.",
        autocompletion=completion.nets,
    )


ReferenceClassifier = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Classifier in whose features the images are compared.",
        autocompletion=completion.nets,
        show_default="out/conv",
        rich_help_panel=GENERATOR,
    ),
]
Images = Annotated[
    list[Path] | None,
    typer.Option(
        "--image",
        metavar="FILE|DIR",
        help="Read the digits in this image, or in the images of this folder; repeatable.",
        rich_help_panel=IMAGES,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Digits of the images, as CSV: file,label.", rich_help_panel=IMAGES),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        help="Mark predictions with a lower confidence as unsure.",
        show_default="0.78",
        rich_help_panel=IMAGES,
    ),
]
Expect = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of digits in each image.", rich_help_panel=IMAGES),
]
BoxesFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write the images with a box around each digit, as PNG.", rich_help_panel=IMAGES
    ),
]

# Output.
OutDir = Annotated[
    Path, typer.Option(envvar="MNISTCTL_OUT_DIR", help="Folder for results.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, flag("--json", help="Print one JSON object.", rich_help_panel=OUTPUT)]
Scale = Annotated[
    int,
    typer.Option(
        metavar="N", help="Enlarge each pixel of the picture N times, 1 to 32.", rich_help_panel=OUTPUT
    ),
]
CsvFile = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Write the results as CSV.", rich_help_panel=OUTPUT),
]
MarkdownFile = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Write them in Markdown.", rich_help_panel=OUTPUT),
]
LatexFile = Annotated[
    Path | None,
    typer.Option("--latex", metavar="FILE", help="Write them in LaTeX.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[bool, flag("--quiet", "-q", help="Print only the main result.", rich_help_panel=OUTPUT)]

DATA_DIR, OUT_DIR = Path("data"), Path("out")
