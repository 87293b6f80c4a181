"""The evaluations of the command `eval`: of one classifier, of several, and of a generator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnistctl.cli.commands import check_stdout, name_part
from mnistctl.cli.download import ensure
from mnistctl.cli.options import EvaluatedSplit
from mnistctl.errors import MnistctlError, UnmetError
from mnistctl.models.pretrained import WEIGHTS

if TYPE_CHECKING:
    from mnistctl.artifacts.charts import LearningCurves
    from mnistctl.artifacts.drawing import Chart
    from mnistctl.artifacts.files import Warned
    from mnistctl.artifacts.outputs import Output
    from mnistctl.artifacts.tables import TableFiles
    from mnistctl.evaluation.comparison import Comparison
    from mnistctl.evaluation.figures import FigureFiles
    from mnistctl.evaluation.predictions import Classifier, LabelledSplit, ModelPredictions
    from mnistctl.inference.load import Recipes
    from mnistctl.pages.classifiers import PageNet

_MAX_NAME_BYTES = 180  # of a figure's name before its ending


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """The options of the command. None means: not given."""

    paths: list[Path]
    split: EvaluatedSplit
    dataset: str
    data_dir: Path
    offline: bool
    device: str
    threads: int | None
    out_dir: Path
    predictions: Path | None
    onnx: Path | None
    page: Path | None
    csv: Path | None
    markdown: Path | None
    latex: Path | None
    overwrite: bool
    charts: Path | None
    no_charts: bool
    corrupt: bool
    judge: str | None
    count: int | None
    seed: int | None
    image: list[Path] | None
    labels: Path | None
    min_confidence: float | None
    expect: int | None
    boxes: Path | None
    require: float | None
    quiet: bool
    json: bool
    recipes: "Recipes"

    def tables(self) -> "TableFiles":
        """The tables to write."""
        from mnistctl.artifacts.tables import TableFiles

        return TableFiles(self.csv, self.markdown, self.latex)

    def figure_files(self, name: str) -> "FigureFiles":
        """Where the charts are written; `name` is their default name. The names of many nets are cut."""
        from mnistctl.artifacts import files
        from mnistctl.artifacts.outputs import CHART, Output
        from mnistctl.evaluation.figures import FigureFiles

        if self.charts is not None:
            Output(self.charts, CHART, "charts").check_ending()
            return FigureFiles(self.charts.with_suffix(""), self.charts.suffix, "charts")
        return FigureFiles(self.out_dir / files.shorten(name, _MAX_NAME_BYTES))

    def figures(self, drawn: "dict[str, Chart]", target: "FigureFiles") -> "dict[Path, Chart]":
        """The charts to write, by their path."""
        return {} if self.no_charts else {target.path_of(ending): chart for ending, chart in drawn.items()}


@dataclass(frozen=True)
class _Prepared:
    """What an evaluation of classifiers needs. All that can fail before it has been done.

    Args:
        options: the options of the command.
        target: where the charts are written.
        classifiers: the classifiers.
        labelled: the digits to evaluate on.
        nets: the nets of the page, if one is requested.
    """

    options: EvalOptions
    target: "FigureFiles"
    classifiers: "Sequence[Classifier]"
    labelled: "LabelledSplit"
    nets: "Sequence[PageNet]"

    @classmethod
    def of(cls, options: EvalOptions, figures: Sequence[str]) -> "_Prepared":
        """Check the outputs, load the nets and the digits, and describe the nets for the page.

        Args:
            options: the options of the command.
            figures: the ends of the names of all figures that there may be.
        """
        from mnistctl.evaluation.splits import load_split_for

        names = "-".join(path.stem for path in options.paths)
        target = options.figure_files(f"{names}-eval-{options.dataset}-{options.split}")
        _check_outputs(options, target.planned(figures))
        classifiers = _load(options.paths, options)
        ensure(options.dataset, options.data_dir, options.offline)
        labelled = load_split_for(classifiers, options.dataset, options.data_dir, options.split)
        nets: Sequence[PageNet] = ()
        if options.page is not None:
            from mnistctl.pages.classifiers import describe_nets
            from mnistctl.training.record import find_record

            records = [
                find_record(path, each.digest) for path, each in zip(options.paths, classifiers, strict=True)
            ]
            nets = describe_nets(classifiers, labelled, records)
        return cls(options, target, classifiers, labelled, nets)

    def write_page(
        self,
        predictions: "Sequence[ModelPredictions]",
        warnings: "Sequence[Warned]",
        comparison: "Comparison | None" = None,
    ) -> list[Path]:
        """Write the page with the results of its nets, if one is requested, and return its path.

        Raises:
            OutputError: the file cannot be written.
            UsageError: the page is too large.
        """
        if self.options.page is None:
            return []
        from mnistctl.artifacts import files
        from mnistctl.pages.classifiers import render_classifiers

        page = render_classifiers(
            self.nets, predictions, self.labelled, warnings=warnings, comparison=comparison
        )
        files.write(self.options.page, page)
        return [self.options.page]


def evaluate_one(options: EvalOptions) -> None:
    """Evaluate one classifier: print its results, then write the files."""
    from mnistctl.artifacts import files
    from mnistctl.cli.output.evaluate import evaluation_progress, print_evaluation
    from mnistctl.cli.output.terminal import results_on_stderr
    from mnistctl.data.batches import Digits
    from mnistctl.evaluation.classifier import evaluate_classifier
    from mnistctl.evaluation.figures import CLASSIFIER_FIGURES, draw_figures
    from mnistctl.evaluation.predictions import save_predictions
    from mnistctl.inference.export import export_onnx, require_installed

    if options.onnx is not None:
        require_installed()  # before any work
    prepared = _Prepared.of(options, CLASSIFIER_FIGURES)
    (classifier,), labelled = prepared.classifiers, prepared.labelled
    with evaluation_progress() as on_progress:
        evaluation = evaluate_classifier(
            classifier, labelled, corrupt=options.corrupt, on_progress=on_progress
        )
    curves, notes = _find_curves(prepared.classifiers)
    figures = options.figures(draw_figures(evaluation, curves), prepared.target)
    export, failure, paths = None, None, []
    try:
        if options.predictions is not None:
            save_predictions(options.predictions, labelled, evaluation.predictions)
            paths.append(options.predictions)
        if options.onnx is not None:
            digits = Digits.of(labelled.arrays, classifier.device)
            export = export_onnx(options.onnx, classifier.net, digits, evaluation.predictions.logits)
            paths.append(options.onnx)
        paths += prepared.write_page([evaluation.predictions], evaluation.warnings)
    except MnistctlError as error:  # after the results are printed
        failure = error
    with results_on_stderr(any(map(files.is_stdout, (options.predictions, options.onnx, options.page)))):
        print_evaluation(
            evaluation,
            export=export,
            notes=notes,
            paths=[*paths, *figures],
            quiet=options.quiet,
            json=options.json,
        )
        if failure is not None:
            raise failure
        _write_figures(options, paths, figures)
    check_accuracy(options, {evaluation.name: evaluation.accuracy})


def evaluate_several(options: EvalOptions) -> None:
    """Evaluate several classifiers on the same digits, and compare them."""
    from mnistctl.artifacts import files
    from mnistctl.cli.output.evaluate import evaluation_progress, print_comparison
    from mnistctl.cli.output.terminal import results_on_stderr
    from mnistctl.evaluation.comparison import compare
    from mnistctl.evaluation.figures import COMPARISON_FIGURES, draw_figures
    from mnistctl.evaluation.tables import comparison_table

    prepared = _Prepared.of(options, COMPARISON_FIGURES)
    classifiers, labelled = prepared.classifiers, prepared.labelled
    with evaluation_progress() as on_progress:
        comparison = compare(classifiers, labelled, corrupt=options.corrupt, on_progress=on_progress)
    curves, notes = _find_curves(classifiers)
    figures = options.figures(draw_figures(comparison, curves), prepared.target)
    tables, failure, paths = options.tables(), None, []
    try:
        paths += prepared.write_page(comparison.predictions, comparison.warnings, comparison)
        paths += tables.write(comparison_table(comparison))
    except MnistctlError as error:  # after the results are printed
        failure = error
    with results_on_stderr(tables.uses_stdout or files.is_stdout(options.page)):
        print_comparison(
            comparison, notes=notes, paths=[*paths, *figures], quiet=options.quiet, json=options.json
        )
        if failure is not None:
            raise failure
        _write_figures(options, paths, figures)
    check_accuracy(options, {net.name: net.accuracy for net in comparison.nets})


def evaluate_generated(options: EvalOptions) -> None:
    """Evaluate a generator by its images."""
    from mnistctl.cli.output.evaluate import evaluation_progress, print_generator_evaluation
    from mnistctl.evaluation.figures import GENERATOR_FIGURES, draw_figures
    from mnistctl.evaluation.generator import check_sample, evaluate_generator
    from mnistctl.evaluation.predictions import load_split
    from mnistctl.inference import load
    from mnistctl.inference.sampling import TrainedGenerator

    (path,) = options.paths
    reference_path = load.find_reference_classifier(options.judge, options.out_dir)
    given = {"n": options.count, "seed": options.seed, "judge-": options.judge and reference_path.stem}
    target = options.figure_files(f"{path.stem}-eval-{options.dataset}{name_part(given)}")
    _check_outputs(options, target.planned(GENERATOR_FIGURES))
    generator = TrainedGenerator.load(path, options.device, options.threads, options.recipes)
    (reference,) = _load([reference_path], options)
    count, seed = 10_000 if options.count is None else options.count, options.seed or 0
    check_sample(count, seed)
    ensure(options.dataset, options.data_dir, options.offline)
    train = load_split(options.dataset, options.data_dir, "train").arrays
    test = load_split(options.dataset, options.data_dir, "test")
    with evaluation_progress() as on_progress:
        evaluation = evaluate_generator(
            generator, reference, train, test, count=count, seed=seed, on_progress=on_progress
        )
    figures = options.figures(draw_figures(evaluation), target)
    print_generator_evaluation(evaluation, paths=[*figures], quiet=options.quiet, json=options.json)
    _write_figures(options, [], figures)


def _load(paths: Sequence[Path], options: EvalOptions) -> "list[Classifier]":
    """The classifiers, with what is known about their training digits."""
    from mnistctl.evaluation.predictions import load_classifiers
    from mnistctl.training.provenance import find_training_set

    classifiers = load_classifiers(
        paths, device=options.device, threads=options.threads, recipes=options.recipes
    )
    return [replace(each, training_set=find_training_set(each)) for each in classifiers]


def _find_curves(classifiers: "Sequence[Classifier]") -> "tuple[dict[str, LearningCurves], list[str]]":
    """The learning curves of the classifiers that have a record, by name, and a note for each other one."""
    from mnistctl.training.provenance import find_curves

    curves, notes = {}, []
    for classifier in classifiers:
        assert classifier.path is not None
        found = find_curves(classifier.path, classifier.digest)
        if found is None and classifier.path.parent != WEIGHTS:
            record_path = classifier.path.with_suffix(".json")
            what = "is not the record of this net" if record_path.exists() else "is missing"
            notes.append(f"no learning curves: {record_path} {what}")
        if found is not None:
            curves[classifier.name] = found
    return curves, notes


def _write_figures(options: EvalOptions, written: Sequence[Path], figures: "dict[Path, Chart]") -> None:
    """Write the figures, after the results were printed, and print the paths of all files."""
    from mnistctl.cli.output.evaluate import print_paths

    silent = options.quiet or options.json
    if not silent:
        print_paths(written)
    for path, figure in figures.items():
        figure.write(path)
        if not silent:
            print_paths([path])


def _check_outputs(options: EvalOptions, figures: "Sequence[Output]") -> None:
    """Check the files that the command is to write.

    Raises:
        UsageError, OutputError: as `check_outputs`; or a file is to share stdout with the JSON object.
    """
    from mnistctl.artifacts.outputs import ONNX, PAGE, TABLE, Output, check_outputs

    formats = {"predictions": TABLE, "onnx": ONNX, "page": PAGE}
    given = {field: getattr(options, field) for field in formats}
    named = [Output(path, formats[field], field) for field, path in given.items() if path is not None]
    named += options.tables().outputs()
    check_outputs(named, overwrite=options.overwrite)
    if not options.no_charts:
        try:
            check_outputs([*named, *figures], overwrite=options.overwrite)
        except MnistctlError as error:
            error.remedies = (*error.remedies, "no_charts")
            raise
    check_stdout(named, json=options.json)


def check_accuracy(options: EvalOptions, accuracies: Mapping[str, float]) -> None:
    """Check the accuracies in percent, by the names of the nets, after the results were printed.

    Raises:
        UnmetError: one is below what is required, or there is none.
    """
    if options.require is None:
        return
    value = f"{options.require:.12g}"
    if not accuracies:
        message = "no accuracy, because no digit of the images is known"
        raise UnmetError(message, field="require", value=value, remedies=("labels",))
    below = [
        f"{name} has {_format_below(accuracy, options.require)} %"
        for name, accuracy in accuracies.items()
        if accuracy < options.require
    ]
    if below:
        raise UnmetError(", ".join(below), field="require", value=value)


def _format_below(accuracy: float, required: float) -> str:
    """An accuracy in percent that is not rounded to the required one, which is above it."""
    texts = (f"{accuracy:.{decimals}f}" for decimals in range(2, 12))
    return next((text for text in texts if float(text) < required), repr(accuracy))
