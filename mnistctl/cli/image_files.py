"""The evaluation of image files by the command `eval`."""

from pathlib import Path

import typer

from mnistctl.cli.commands import check_stdout
from mnistctl.cli.evaluations import EvalOptions, check_accuracy
from mnistctl.errors import MnistctlError


def classify_images(options: EvalOptions) -> None:
    """Classify image files: print what they show, and write the misread ones and the boxes."""
    from mnistctl.artifacts.files import Warned
    from mnistctl.artifacts.outputs import PICTURE, Output, check_outputs
    from mnistctl.cli.output.evaluate import print_predictions
    from mnistctl.cli.output.terminal import print_warning, results_on_stderr
    from mnistctl.data.photos import find_images
    from mnistctl.inference.boxes import save_boxes, save_misread
    from mnistctl.inference.predict import predict_images

    errors_path = options.out_dir / f"{options.paths[0].stem}-eval-images-errors.png"
    outputs = [Output(errors_path, PICTURE)]
    outputs += [] if options.boxes is None else [Output(options.boxes, PICTURE, "boxes")]
    check_outputs(outputs, overwrite=options.overwrite)
    check_stdout(outputs, json=options.json)
    if options.boxes is not None and options.boxes.exists():
        images, _ = find_images(options.image or [])
        if any(image.exists() and image.samefile(options.boxes) for image in images):
            outputs[-1].fail("is one of the images that are read; name another file")

    predictions = predict_images(
        options.paths[0],
        options.image or [],
        min_confidence=options.min_confidence,
        expect=options.expect,
        labels=options.labels,
        device=options.device,
        threads=options.threads,
        recipes=options.recipes,
    )
    paths, failure = list[Path](), None
    try:
        if options.boxes is not None and (drawn := save_boxes(options.boxes, predictions)):
            paths.append(options.boxes)
            if drawn < (readable := sum(image.error is None for image in predictions.images)):
                print_warning(Warned(f"{options.boxes} has the first {drawn} of {readable} images", "cut"))
        paths += save_misread(errors_path, predictions)
    except MnistctlError as error:  # after the predictions are printed
        failure = error
    with results_on_stderr(any(output.is_stdout for output in outputs)):
        print_predictions(predictions, paths=paths, quiet=options.quiet, json=options.json)
    if failure is not None:
        raise failure
    if any(image.error is not None for image in predictions.images):
        raise typer.Exit(1)
    accuracy = predictions.accuracy
    check_accuracy(options, {} if accuracy is None else {options.paths[0].stem: accuracy.accuracy})
