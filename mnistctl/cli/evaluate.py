"""The command eval: evaluate one classifier, several, or a generator; or classify image files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mnistctl.cli.errors import option_of
from mnistctl.cli.evaluations import (
    EvalOptions,
    evaluate_generated,
    evaluate_one,
    evaluate_several,
)
from mnistctl.cli.image_files import classify_images
from mnistctl.cli.options import (
    DATA,
    DATA_DIR,
    GENERATOR,
    OUT_DIR,
    OUTPUT,
    AllowOtherRecipe,
    BoxesFile,
    DataDir,
    DatasetName,
    Device,
    EvaluatedSplit,
    Expect,
    Images,
    Json,
    Labels,
    LatexFile,
    MarkdownFile,
    MinConfidence,
    Offline,
    OutDir,
    OverwriteFiles,
    Quiet,
    RecipeFiles,
    ReferenceClassifier,
    Seed,
    Threads,
    flag,
    net_argument,
)
from mnistctl.cli.recipes import find_recipes
from mnistctl.errors import UsageError

PredictionsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write labels, predictions and logits as CSV.", rich_help_panel=OUTPUT),
]
EvaluatedDataset = Annotated[
    DatasetName | None,
    typer.Option(help="Data set.", show_default="as trained on", rich_help_panel=DATA),
]
EvaluatedSplitOption = Annotated[
    EvaluatedSplit,
    typer.Option(help="Split: train, test, or validation for what --holdout left out.", rich_help_panel=DATA),
]
OnnxFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the classifier as ONNX, verified.", rich_help_panel=OUTPUT),
]
PageFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write an HTML page to draw on, with the nets and the results.",
        rich_help_panel=OUTPUT,
    ),
]
ChartsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Path of the charts, .png, .svg or .pdf; their kind is added before the ending.",
        rich_help_panel=OUTPUT,
    ),
]
RequiredAccuracy = Annotated[
    float | None,
    typer.Option(
        metavar="PERCENT",
        help="Exit with code 7 unless the accuracy is this or more.",
        rich_help_panel=OUTPUT,
    ),
]
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Write the results of several classifiers as CSV.",
        rich_help_panel=OUTPUT,
    ),
]
NoCharts = Annotated[bool, flag("--no-charts", help="Write no charts.", rich_help_panel=OUTPUT)]
Corrupt = Annotated[bool, flag("--corrupt", help="Also evaluate on corrupted images.")]
SampleCount = Annotated[
    int | None,
    typer.Option("-n", "--count", help="Number of images.", show_default="10000", rich_help_panel=GENERATOR),
]

DEFAULT_DATASET = "mnist"


def evaluate(
    context: typer.Context,
    nets: Annotated[list[str], net_argument("pretrained")],
    split: EvaluatedSplitOption = "test",
    dataset: EvaluatedDataset = None,
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    predictions: PredictionsFile = None,
    onnx: OnnxFile = None,
    page: PageFile = None,
    charts: ChartsFile = None,
    no_charts: NoCharts = False,
    overwrite: OverwriteFiles = False,
    csv: CsvFile = None,
    markdown: MarkdownFile = None,
    latex: LatexFile = None,
    corrupt: Corrupt = False,
    judge: ReferenceClassifier = None,
    count: SampleCount = None,
    seed: Seed = None,
    image: Images = None,
    labels: Labels = None,
    min_confidence: MinConfidence = None,
    expect: Expect = None,
    boxes: BoxesFile = None,
    recipe: RecipeFiles = None,
    allow_inexact: AllowOtherRecipe = False,
    require: RequiredAccuracy = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """The command `eval`."""
    from mnistctl.artifacts import files
    from mnistctl.cli.output.terminal import results_on_stderr
    from mnistctl.inference import load

    # A mistyped name is an error before anything is downloaded.
    paths = [load.find_checkpoint(net, out_dir) for net in nets]
    generators = [path for path in paths if load.load_header(path).is_generator]
    if generators and len(paths) > 1:
        raise UsageError(f"{generators[0]} is a generator, which cannot be compared; evaluate it alone")
    if charts is not None and no_charts:
        raise UsageError("cannot be combined with --no-charts", field="charts", value=charts)
    if require is not None and not 0 < require <= 100:
        raise UsageError("give a percentage above 0, at most 100", field="require", value=f"{require:g}")
    if files.is_stdout(charts):
        raise UsageError("charts are several files; give a file name", field="charts", value=charts)
    subject = _subject(len(paths), bool(generators), bool(image))
    _check_options(context, subject)
    recipes = find_recipes([*nets, judge], recipe, allow_inexact=allow_inexact)
    given = {name: context.params[name] for name in _PARAMETERS}
    if dataset is None:  # images are of no data set
        to_stdout = any(map(files.is_stdout, (predictions, onnx, page, csv, markdown, latex)))
        with results_on_stderr(to_stdout):
            known = DEFAULT_DATASET if subject == _IMAGES else _find_dataset(paths, silent=quiet or json)
        given["dataset"] = known
    options = EvalOptions(paths=paths, recipes=recipes, **given)
    run = {
        _CLASSIFIER: evaluate_one,
        _CLASSIFIERS: evaluate_several,
        _GENERATOR: evaluate_generated,
        _IMAGES: classify_images,
    }[subject]
    with recipes.reporting_errors():
        run(options)


def _find_dataset(paths: Sequence[Path], *, silent: bool) -> str:
    """The data set that the nets were trained on: MNIST, the sample or Fashion-MNIST.

    It prints a line if that is not MNIST, unless it is to be `silent`.

    Raises:
        UsageError: they were trained on other digits, or on different data sets.
    """
    from mnistctl.cli.output.terminal import print_line
    from mnistctl.training.provenance import find_training_dataset

    trained = {path: find_training_dataset(path) or DEFAULT_DATASET for path in paths}
    names = set(trained.values())
    if len(names) > 1:
        what = ", ".join(f"{path.stem} on {name}" for path, name in trained.items())
        raise UsageError(f"trained on different data sets ({what}); say with --dataset which to evaluate on")
    (name,) = names
    if name == "own":
        message = f"{paths[0].stem} was trained on digits of your own; say which to evaluate on"
        raise UsageError(f"{message}: --dataset own --data-dir DIR, or --dataset mnist")
    if name != DEFAULT_DATASET and not silent:
        print_line(f"data set: {name}, as in training (--dataset chooses another)")
    return name


# What can be evaluated, as it is called in messages.
_CLASSIFIER, _CLASSIFIERS = "a single classifier", "several classifiers"
_GENERATOR, _IMAGES = "a generator", "--image"

# What each option applies to. Options that are not listed apply to everything.
_APPLIES_TO = {
    "split": (_CLASSIFIER, _CLASSIFIERS),
    "dataset": (_CLASSIFIER, _CLASSIFIERS, _GENERATOR),
    "data_dir": (_CLASSIFIER, _CLASSIFIERS, _GENERATOR),
    "offline": (_CLASSIFIER, _CLASSIFIERS, _GENERATOR),
    "predictions": (_CLASSIFIER,),
    "onnx": (_CLASSIFIER,),
    "page": (_CLASSIFIER, _CLASSIFIERS),
    "charts": (_CLASSIFIER, _CLASSIFIERS, _GENERATOR),
    "no_charts": (_CLASSIFIER, _CLASSIFIERS, _GENERATOR),
    "csv": (_CLASSIFIERS,),
    "markdown": (_CLASSIFIERS,),
    "latex": (_CLASSIFIERS,),
    "corrupt": (_CLASSIFIER, _CLASSIFIERS),
    "require": (_CLASSIFIER, _CLASSIFIERS, _IMAGES),
    "judge": (_GENERATOR,),
    "count": (_GENERATOR,),
    "seed": (_GENERATOR,),
    "labels": (_IMAGES,),
    "min_confidence": (_IMAGES,),
    "expect": (_IMAGES,),
    "boxes": (_IMAGES,),
}
_PARAMETERS = [name for name in EvalOptions.__dataclass_fields__ if name not in ("paths", "recipes")]


def _subject(nets: int, generator: bool, images: bool) -> str:
    """Which of the four evaluations is requested."""
    if images and (generator or nets > 1):
        raise UsageError(f"--image is only for {_CLASSIFIER}")
    if images:
        return _IMAGES
    if generator:
        return _GENERATOR
    return _CLASSIFIERS if nets > 1 else _CLASSIFIER


def _check_options(context: typer.Context, subject: str) -> None:
    """Refuse options on the command line (not in the environment) that do not apply to `subject`."""
    for name, subjects in _APPLIES_TO.items():
        source = context.get_parameter_source(name)
        if subject in subjects or source is None or source.name != "COMMANDLINE":
            continue
        if subject == _IMAGES:
            raise UsageError(f"{option_of(name)} cannot be combined with --image")
        if subjects == (_IMAGES,):
            raise UsageError(f"{option_of(name)} needs --image")
        whose = "classifiers" if {_CLASSIFIER, _CLASSIFIERS} <= {*subjects} else subjects[0]
        raise UsageError(f"{option_of(name)} is only for {whose}, not for {subject}")
