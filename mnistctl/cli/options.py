"""Options that several commands share, their panels in the help, and their defaults."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mnistctl.cli import completion

DatasetName = Literal["mnist", "fashion", "sample", "own"]  # of datasets.DATASETS, which --help need not load
Split = Literal["train", "test"]
DATA, MACHINE, OUTPUT, RECIPE, RESUME = "Data", "Machine", "Output", "Recipe", "Going on"
GENERATOR, OTHER, PICTURES = "Judging a generator", "Instead of digits", "Pictures"


def flag(*names: str, **told: Any) -> Any:
    """An option that takes no value; the help would otherwise show one for it."""
    return typer.Option(*names, metavar="", **told)


Dataset = Annotated[DatasetName, typer.Option(help="Which digits.", rich_help_panel=DATA)]
DataDir = Annotated[
    Path, typer.Option(envvar="MNISTCTL_DATA_DIR", help="Where the digits are.", rich_help_panel=DATA)
]
Offline = Annotated[
    bool,
    flag("--offline", envvar="MNISTCTL_OFFLINE", help="Never fetch digits.", rich_help_panel=DATA),
]
OutDir = Annotated[
    Path, typer.Option(envvar="MNISTCTL_OUT_DIR", help="Where results go.", rich_help_panel=OUTPUT)
]
Device = Annotated[
    str,
    typer.Option(envvar="MNISTCTL_DEVICE", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MACHINE),
]
Threads = Annotated[
    int | None,
    typer.Option(envvar="MNISTCTL_THREADS", help="Processor threads.", rich_help_panel=MACHINE),
]


# Of a run: None stands for what is not asked, and is left to the recipe, the record or DEFAULTS.
Epochs = Annotated[int | None, typer.Option(help="Number of training epochs.", rich_help_panel=RECIPE)]
BatchSize = Annotated[int | None, typer.Option(help="Batch size.", rich_help_panel=RECIPE)]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.", rich_help_panel=RECIPE)]
OptionalDataset = Annotated[
    DatasetName | None, typer.Option(help="Which digits.", show_default="mnist", rich_help_panel=DATA)
]
OptionalDataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MNISTCTL_DATA_DIR",
        help="Where the digits are.",
        show_default="data",
        rich_help_panel=DATA,
    ),
]
Precision = Annotated[
    Literal["float32", "bf16"] | None,
    typer.Option(
        help="Arithmetic of the forward pass while training.",
        show_default="float32",
        rich_help_panel=MACHINE,
    ),
]
ReferenceClassifier = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="The classifier that reads what is drawn.",
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
        help="Read this picture of a digit; repeatable.",
        rich_help_panel=PICTURES,
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        help="Mark predictions with a lower probability as unsure.",
        show_default="0.6",
        rich_help_panel=PICTURES,
    ),
]
Json = Annotated[bool, flag("--json", help="One JSON object on stdout.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, flag("--quiet", "-q", help="Only the accuracy.", rich_help_panel=OUTPUT)]
DATA_DIR, OUT_DIR = Path("data"), Path("out")
NET = typer.Argument(help="A name under out/, or the path of a checkpoint.", autocompletion=completion.nets)
