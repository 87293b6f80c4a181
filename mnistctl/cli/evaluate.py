"""eval and generate: what a trained net is worth, and what it draws."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnistctl.cli.download import ensure
from mnistctl.cli.options import (
    DATA_DIR,
    GENERATOR,
    NET,
    OUT_DIR,
    OUTPUT,
    DataDir,
    Dataset,
    Device,
    Images,
    Json,
    MinConfidence,
    Offline,
    OutDir,
    Quiet,
    ReferenceClassifier,
    Seed,
    Split,
    Threads,
    flag,
)
from mnistctl.cli.output.evaluate import (
    corruption_progress,
    print_comparison,
    print_evaluation,
    print_generator_evaluation,
    print_predictions,
)
from mnistctl.errors import UsageError


def evaluate(
    context: typer.Context,
    nets: Annotated[list[str], NET],
    split: Split = "test",
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = None,
    out_dir: OutDir = OUT_DIR,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write label, answer and logits as CSV.", rich_help_panel=OUTPUT),
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a classifier as ONNX, checked.", rich_help_panel=OUTPUT),
    ] = None,
    corrupt: Annotated[
        bool, flag("--corrupt", help="Read them shifted, turned, blurred ... as well.")
    ] = False,
    judge: ReferenceClassifier = None,
    count: Annotated[
        int | None,
        typer.Option("-n", "--count", help="Pictures.", show_default="10000", rich_help_panel=GENERATOR),
    ] = None,
    seed: Seed = None,
    image: Images = None,
    min_confidence: MinConfidence = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judge a trained net.

    A classifier: loss, accuracy, a table per digit, confusions, mistakes, charts.
    Several classifiers: side by side, and whether they differ.
    A generator: how far its digits are from real ones, as a classifier sees.
    With --image: what a classifier reads in pictures of your own.
    """
    from mnistctl.evaluation.classifier import evaluate
    from mnistctl.evaluation.comparison import compare
    from mnistctl.evaluation.generator import evaluate_generator
    from mnistctl.inference import load

    # A mistyped name is told before anything is fetched for it.
    paths = [load.find_checkpoint(net, out_dir) for net in nets]
    drawing = [path for path in paths if load.is_generator(path)]
    path, several = paths[0], len(paths) > 1
    if image:
        from mnistctl.inference.predict import predict_images

        reject_options(
            "eval without --image",
            {option: _is_given(context, name) for option, name in _SPLIT_OPTIONS.items()},
        )
        reject_options("a single classifier", {"--image": bool(drawing) or several})
        read = predict_images(path, image, min_confidence=min_confidence, device=device, threads=threads)
        print_predictions(read, quiet=quiet, json=json)
        if any(picture.error is not None for picture in read.images):
            raise typer.Exit(1)
        return
    reject_options("--image", {"--min-confidence": min_confidence is not None})
    if drawing and several:
        raise UsageError(f"{drawing[0]}: draws digits, and nets side by side must read them; give it alone")
    if drawing:
        read_alone = {"--split train": split == "train", "--predictions": predictions is not None}
        reject_options("a classifier", read_alone | {"--corrupt": corrupt, "--onnx": onnx is not None})
        reader = load.find_reference_classifier(judge, out_dir)
        ensure(dataset, data_dir, offline)
        told = evaluate_generator(
            path,
            judge=reader,
            data_dir=data_dir,
            out_dir=out_dir,
            dataset=dataset,
            count=10_000 if count is None else count,
            seed=seed or 0,
            device=device,
            threads=threads,
        )
        print_generator_evaluation(told, quiet=quiet, json=json)
        return
    reject_options(
        "a generator", {"--judge": judge is not None, "-n": count is not None, "--seed": seed is not None}
    )
    written = {"--predictions": predictions is not None, "--onnx": onnx is not None}
    reject_options("a single net", {flag: several and given for flag, given in written.items()})
    ensure(dataset, data_dir, offline)
    asked: dict[str, Any] = {"split": split, "dataset": dataset, "data_dir": data_dir, "out_dir": out_dir}
    asked |= {"device": device, "threads": threads, "corrupt": corrupt}
    if several:
        with corruption_progress() as moved:
            compared = compare(paths, **asked, moved=moved)
        print_comparison(compared, quiet=quiet, json=json)
        return
    with corruption_progress() as moved:
        judged = evaluate(path, **asked, predictions=predictions, onnx=onnx, moved=moved)
    print_evaluation(judged, quiet=quiet, json=json)


_SPLIT_OPTIONS = {
    f"--{name.replace('_', '-')}": name
    for name in ("split", "dataset", "data_dir", "offline", "predictions", "onnx", "corrupt", "judge", "seed")
} | {"-n": "count"}


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line itself, not only in the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def reject_options(of: str, given: dict[str, bool]) -> None:
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is for {of} only")
