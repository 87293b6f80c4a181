"""Compare nets in a page with torch: python bench/page.py CHECKPOINT... [--out records/page.json].

Each net is described as for a page. Chromium, driven by Playwright, computes it with the page's JavaScript:
200 test digits of the sample and 20 gradients for a classifier, 20 images for a generator. This is done with
the weights that a page has and with float32. Times are medians of one picture after the first ones; those of
the thread do not count the time in which other processes had the core.
"""

import argparse
import json
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from playwright.sync_api import CDPSession, Page, sync_playwright
from torch import nn

from mnistctl.artifacts import files
from mnistctl.data import datasets
from mnistctl.inference import load
from mnistctl.inference.forward import compute_image_logits, generate_images
from mnistctl.nn.device import hardware_info
from mnistctl.nn.layers import ConditionedNet
from mnistctl.pages import description
from mnistctl.pages.description import NetDescription, describe_classifier, describe_generator

DIGITS = 200
GRADIENTS = 20
IMAGES = 20
WARM_UP = 5
TIE = 0.04  # difference of the two largest logits: twice what rounding may change
# What is computed for each input, as JavaScript functions of the net and the input.
LOGITS = "(net, [pixels]) => net.forward(pixels).logits"
GRADIENT = "(net, [pixels, answer]) => net.gradient(pixels, answer)"
IMAGE = "(net, [noise, digit]) => net.generate(noise, digit)"
RUN = """(given) => {
    const { description, inputs } = JSON.parse(given);
    window.net = makeNet(description);
    window.compute = FUNCTION;
    const outputs = [], times = [];
    for (const input of inputs) {
        const began = performance.now();
        outputs.push(Array.from(window.compute(window.net, input)));
        times.push(performance.now() - began);
    }
    return JSON.stringify({ outputs, times });
}"""
RECORD = Path("records/page.json")
SCRIPT = Path(description.__file__).with_name("net.js")


def run(page: Page, described: NetDescription, function: str, inputs: list[list]) -> tuple[NDArray, float]:
    """The outputs of a function for each of the inputs, and the median of the milliseconds that each took."""
    given = json.dumps({"description": described.to_json(), "inputs": inputs})
    found = json.loads(page.evaluate(RUN.replace("FUNCTION", function), given))
    return np.array(found["outputs"]), statistics.median(found["times"][WARM_UP:])


def thread_time(session: CDPSession) -> float:
    """The processor time of the page's main thread so far, in seconds."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "TaskDuration")


def time_in_thread(page: Page, session: CDPSession, given: list, count: int) -> float:
    """The milliseconds of processor time for one input, after `run`."""
    before = thread_time(session)
    page.evaluate(
        "([input, count]) => { for (let n = 0; n < count; n++) window.compute(window.net, input); }",
        [given, count],
    )
    return 1000 * (thread_time(session) - before) / count


def compare_classifier(page: Page, session: CDPSession, net: nn.Module, described: NetDescription) -> dict:
    """What a page gives for test digits, beside what torch gives."""
    images = datasets.load("sample", None, "test")[0].images[:DIGITS]
    expected = compute_image_logits(net, images).numpy()
    flat = images.reshape(DIGITS, 784).tolist()
    logits, milliseconds = run(page, described, LOGITS, [[pixels] for pixels in flat])
    ordered = np.sort(expected, 1)
    differing = logits.argmax(1) != expected.argmax(1)
    tied = ordered[:, -1] - ordered[:, -2] <= TIE
    result = {
        "digits": DIGITS,
        "largest_logit": float(np.abs(expected).max()),
        "largest_difference": float(np.abs(logits - expected).max()),
        "other_answers": int(differing.sum()),
        "other_answers_without_ties": int((differing & ~tied).sum()),
        "milliseconds": milliseconds,
        "thread_milliseconds": time_in_thread(page, session, [flat[0]], 20),
    }
    pixels = torch.from_numpy(images[:GRADIENTS]).unsqueeze(1).float().requires_grad_()
    outputs = net(pixels / 127.5 - 1)
    answers = outputs.argmax(1)
    (by_torch,) = torch.autograd.grad(outputs.gather(1, answers[:, None]).sum(), pixels)
    by_torch = by_torch.reshape(GRADIENTS, 784).numpy()
    inputs = [[flat[n], int(answer)] for n, answer in enumerate(answers)]
    gradients, milliseconds = run(page, described, GRADIENT, inputs)
    errors = np.linalg.norm(gradients - by_torch, axis=1) / np.linalg.norm(by_torch, axis=1)
    result["gradients"] = GRADIENTS
    result["largest_gradient_difference"] = float(errors.max())
    result["median_gradient_difference"] = float(np.median(errors))
    result["gradient_milliseconds"] = milliseconds
    result["gradient_thread_milliseconds"] = time_in_thread(page, session, inputs[0], 10)
    return result


def compare_generator(page: Page, session: CDPSession, net: nn.Module, described: NetDescription) -> dict:
    """The greys of a page's images beside those of torch."""
    noise = torch.randn(IMAGES, 100, 1, 1, generator=torch.Generator().manual_seed(1))
    digits = torch.arange(IMAGES) % 10
    inputs = [noise, digits] if isinstance(net, ConditionedNet) else [noise]
    expected = generate_images(net, *inputs).reshape(IMAGES, 784).numpy().astype(int)
    given = [
        [row, int(digit)] for row, digit in zip(noise.reshape(IMAGES, 100).tolist(), digits, strict=True)
    ]
    greys, milliseconds = run(page, described, IMAGE, given)
    return {
        "images": IMAGES,
        "largest_grey_difference": int(np.abs(greys - expected).max()),
        "other_greys": float((greys != expected).mean()),
        "milliseconds": milliseconds,
        "thread_milliseconds": time_in_thread(page, session, given[0], 20),
    }


def measure(page: Page, session: CDPSession, path: Path) -> dict:
    """All that is measured for the net at `path`."""
    generator = load.load_header(path).is_generator
    model, net = (load.load_generator if generator else load.load_classifier)(path)
    for parameter in net.eval().parameters():
        parameter.requires_grad_(False)
    images = datasets.load("sample", None, "test")[0].images[:DIGITS]
    result: dict = {"file": str(path), "model": model, "trained": trained_by(path)}
    compare = compare_generator if generator else compare_classifier

    def describe(**options: float) -> NetDescription:
        if generator:
            return describe_generator(net, model=model, **options)
        return describe_classifier(net, images, model=model, **options)

    began = time.perf_counter()
    described = describe()
    result["seconds_describing"] = time.perf_counter() - began
    variants: dict[str, Callable[[], NetDescription]] = {
        "in_the_page": lambda: described,
        "float32": lambda: describe(max_difference=0),
    }
    for name, make in variants.items():
        made = make()
        text = json.dumps(made.to_json())
        shared = {"weights": str(made.numbers.dtype), "count": len(made.numbers), "bytes": len(text)}
        result[name] = shared | compare(page, session, net, made)
    return result


def trained_by(path: Path) -> str | None:
    """The command in the record beside a checkpoint."""
    record = files.with_ending(path.with_suffix(""), "json")
    return json.loads(record.read_text()).get("command") if record.exists() else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=RECORD)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    nets = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(0)
        page.add_script_tag(content=f"{SCRIPT.read_text()};window.makeNet = makeNet;")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        for path in options.checkpoints:
            nets[path.stem] = measure(page, session, path)
            print(path.stem, json.dumps(nets[path.stem], indent=1), file=sys.stderr)
        version = browser.version
        browser.close()
    words = [*map(str, options.checkpoints), *([] if options.out == RECORD else ["--out", str(options.out)])]
    result = {
        "command": "python bench/page.py " + " ".join(words),
        "nets": nets,
        "chromium": version,
        "versions": {name: metadata.version(name) for name in ("torch", "numpy", "playwright")},
        "python": platform.python_version(),
        "machine": hardware_info(),
    }
    files.write(options.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
