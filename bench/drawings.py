"""Fifty digits drawn on a page with a real pointer, beside what `eval --image` makes of a screenshot of each.

    python bench/drawings.py [--net records/conv.safetensors] [--data-dir DIR] [--out records/drawings.json]

The page is that of the net and of MNIST's test set. Chromium shows it, driven by Playwright. The strokes are
those of tests/pen.py. It also measures the time to write the page, and its size.
"""

import argparse
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

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import pen

from mnistctl.artifacts import files
from mnistctl.evaluation.classifier import evaluate_classifier
from mnistctl.evaluation.predictions import load_classifiers, load_split
from mnistctl.nn.device import hardware_info
from mnistctl.pages.classifiers import describe_nets, render_classifiers


def write_page(net: Path, data_dir: Path, page: Path) -> dict[str, float]:
    """Write the page of a net and MNIST's test set.

    Returns:
        The seconds of its parts, and its size in bytes.
    """
    (classifier,) = load_classifiers([net], threads=1)
    labelled = load_split("mnist", data_dir)
    began = time.perf_counter()
    described = describe_nets([classifier], labelled, [None])
    after_description = time.perf_counter()
    evaluation = evaluate_classifier(classifier, labelled)
    after_evaluation = time.perf_counter()
    content = render_classifiers(described, [evaluation.predictions], labelled)
    files.write(page, content)
    written = time.perf_counter() - after_evaluation
    return {
        "seconds_describing": after_description - began,
        "seconds_evaluating": after_evaluation - after_description,
        "seconds_writing": written,
        "bytes": len(content),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
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
        version = browser.version
        browser.close()
    differences = [each.difference for each in compared]
    result = {
        "command": f"python bench/drawings.py --net {options.net} --out {options.out}",
        "page": written,
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
