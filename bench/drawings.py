"""Fifty digits drawn on a page with a real pointer, beside what `eval --image` makes of a screenshot of each.

    python bench/drawings.py [--net records/conv.safetensors] [--generator records/cgan.safetensors]
        [--data-dir DIR] [--out records/drawings.json] [--pictures DIR]

The page is that of the net and of MNIST's test set. Chromium shows it, driven by Playwright. The strokes are
those of tests/pen.py. It also measures the processor time of writing the page, and its size. --pictures
writes the pictures of docs/page.md into a folder.
"""

import argparse
import io
import json
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import pen

from mnistctl.artifacts import checkpoint, files
from mnistctl.evaluation.classifier import evaluate_classifier
from mnistctl.evaluation.predictions import load_classifiers, load_split
from mnistctl.inference import load
from mnistctl.nn.device import hardware_info
from mnistctl.pages.classifiers import describe_nets, render_classifiers
from mnistctl.pages.generators import render_generator
from mnistctl.training.record import find_record


def write_page(net: Path, data_dir: Path, page: Path) -> dict[str, float]:
    """Write the page of a net and MNIST's test set.

    Returns:
        The processor seconds of its parts, and its size in bytes.
    """
    (classifier,) = load_classifiers([net], threads=1)
    labelled = load_split("mnist", data_dir)
    record = find_record(net.with_suffix(".json"), classifier.digest)
    began = time.process_time()
    described = describe_nets([classifier], labelled, [record])
    after_description = time.process_time()
    evaluation = evaluate_classifier(classifier, labelled)
    after_evaluation = time.process_time()
    content = render_classifiers(described, [evaluation.predictions], labelled)
    files.write(page, content)
    return {
        "seconds_describing": after_description - began,
        "seconds_evaluating": after_evaluation - after_description,
        "seconds_writing": time.process_time() - after_evaluation,
        "bytes": len(content),
    }


def write_generator_page(net: Path, page: Path) -> dict[str, float]:
    """Write the page of a generator.

    Returns:
        The processor seconds, and its size in bytes.
    """
    model, generator = load.load_generator(net)
    began = time.process_time()
    digest = checkpoint.digest(generator.state_dict())
    content = render_generator(generator, name=net.stem, model=model, digest=digest)
    files.write(page, content)
    return {"seconds": time.process_time() - began, "bytes": len(content)}


def save_pictures(browser: Browser, page: Path, generator_page: Path, folder: Path) -> None:
    """Write the pictures of docs/page.md: the parts of both pages, small and with few colours."""
    views = (
        (page, "#draw", "page-draw", "light"),
        (page, "#inside", "page-inside", "dark"),
        (page, "#results", "page-results", "light"),
        (generator_page, "#generate", "page-generator", "light"),
    )
    for path, part, name, scheme in views:
        tab = browser.new_page(viewport={"width": 1100, "height": 700}, color_scheme=scheme)
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]")
        if path == page:
            pen.draw(tab, pen.strokes_of(4, 2))
        tab.wait_for_selector("html:not([data-busy])")
        box = tab.locator(part).bounding_box()
        top = box["y"] + tab.evaluate("scrollY")
        clip = {"x": 0, "y": top, "width": 1100, "height": min(box["height"], 660)}
        shot = Image.open(io.BytesIO(tab.screenshot(full_page=True, clip=clip)))
        shot.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            folder / f"{name}.png", optimize=True
        )
        tab.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
    parser.add_argument("--generator", type=Path, default=Path("records/cgan.safetensors"))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("records/drawings.json"))
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "page.html"
        written = write_page(options.net, options.data_dir, page)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1000, "height": 900})
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready]")
        compared = pen.compare(tab, options.net, Path(folder))
        generator_page = Path(folder) / "generator.html"
        generated = write_generator_page(options.generator, generator_page)
        if options.pictures is not None:
            save_pictures(browser, page, generator_page, options.pictures)
        version = browser.version
        browser.close()
    differences = [each.difference for each in compared]
    result = {
        "command": " ".join(["python bench/drawings.py", *sys.argv[1:]]),
        "page": written,
        "generator_page": generated,
        "drawings": len(compared),
        "mean_difference": statistics.mean(differences),
        "largest_difference": max(differences),
        "equal_answers": sum(each.read == each.read_from_file for each in compared),
        "read_as_drawn": sum(each.read == each.digit for each in compared),
        "read_as_drawn_from_file": sum(each.read_from_file == each.digit for each in compared),
        "median_milliseconds": statistics.median(each.milliseconds for each in compared),
        "each": [asdict(each) for each in compared],
        "chromium": version,
        "versions": {name: metadata.version(name) for name in ("torch", "numpy", "pillow", "playwright")},
        "python": platform.python_version(),
        "machine": hardware_info(),
    }
    files.write(options.out, json.dumps(result, indent=1) + "\n")
    print({key: value for key, value in result.items() if key != "each"})


if __name__ == "__main__":
    main()
