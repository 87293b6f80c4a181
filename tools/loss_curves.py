"""The training losses of the runs in records/, and their chart, docs/results.png."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistctl import models
from mnistctl.artifacts import drawing, grids
from mnistctl.training.record import RunRecord

# A model's colour in every chart of the documents: those of Okabe and Ito, which colour-blind readers can
# tell apart. Their yellow is too pale for a line on white; linear and swa have a grey and a dark yellow, and
# fast has the wine red of Tol's muted colours.
COLOURS = {
    "logit": "#000000",
    "linear": "#7F7F7F",
    "conv": "#0072B2",
    "swa": "#948700",
    "simple": "#D55E00",
    "wsimple": "#E69F00",
    "lstm": "#009E73",
    "fast": "#882255",
    "best": "#332288",
    "gan": "#CC79A7",
    "cgan": "#56B4E9",
}


# The training losses of some epochs that ktorch's documentation prints, by epoch.
PUBLISHED_LOSSES = {
    "linear": {1: 0.269020, 2: 0.127664, 3: 0.094828, 48: 0.000060, 49: 0.000059, 50: 0.000058},
    "conv": {1: 0.827390, 2: 0.194377, 3: 0.154955, 48: 0.087358, 49: 0.087596, 50: 0.087125},
    "simple": {1: 0.503514, 2: 0.166132, 3: 0.148934, 48: 0.080072, 49: 0.079776, 50: 0.079329},
}


@dataclass(frozen=True)
class Curve:
    """The training losses of a run, one per epoch. `part` is the net of a generator's run, else empty."""

    record: str
    model: str
    part: str
    losses: list[float]


def loss_rows(runs: Mapping[str, RunRecord]) -> Iterator[Sequence[object]]:
    """Rows of a table: the published losses, and those of the run of seed 0 that has the model's name."""
    for model, losses in PUBLISHED_LOSSES.items():
        if (run := runs.get(model)) is None or run.losses is None:
            continue
        yield (f"{model}, published", *(f"{loss:.6f}" for loss in losses.values()))
        yield (f"{model}, here", *(f"{run.losses[epoch - 1]:.6f}" for epoch in losses))


def read_curves(records: Path, runs: Mapping[str, RunRecord]) -> list[Curve]:
    """The losses of those `runs` on MNIST with more than one epoch, from their logs in `records`."""
    curves = []
    for name, run in runs.items():
        if run.dataset.name != "mnist":
            continue
        lines = [json.loads(line) for line in (records / f"{name}.jsonl").read_text().splitlines()]
        epochs = [line for line in lines if "event" not in line]
        if len(epochs) < 2:
            continue
        if run.model in models.CLASSIFIERS:
            curves.append(Curve(name, run.model, "", [epoch["loss"] for epoch in epochs]))
        else:
            for part in ("discriminator", "generator"):
                # Logs of older versions have a shorter key.
                losses = [epoch.get(f"{part}_loss", epoch.get(part)) for epoch in epochs]
                curves.append(Curve(name, run.model, part, losses))
    return curves


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Write a chart with one panel per model of the curves.

    All classifiers share one scale, and the generators another.
    """
    drawn = [model for model in COLOURS if any(curve.model == model for curve in curves)]
    rows = math.ceil(len(drawn) / 3)
    with drawing.canvas(10, 1 + 2 * rows) as (figure, images):
        panels = figure.subplots(rows, 3).flat
        for panel in panels[len(drawn) :]:
            panel.set_axis_off()
        for panel, model in zip(panels, drawn, strict=False):
            runs = [curve for curve in curves if curve.model == model]
            for curve in runs:
                epochs = range(1, len(curve.losses) + 1)
                style, label_offset = ("--", -9) if curve.part == "discriminator" else ("-", 13)
                panel.plot(epochs, curve.losses, style, color=COLOURS[model], linewidth=1.3)
                if curve.part and curve.record == runs[0].record:
                    middle = len(curve.losses) // 2
                    panel.annotate(
                        curve.part,
                        (middle, curve.losses[middle - 1]),
                        (0, label_offset),
                        textcoords="offset points",
                        ha="center",
                        va="center",
                    )
            count = len({curve.record for curve in runs})
            number = f", {count} runs" if count > 1 else ""
            longest = max(len(curve.losses) for curve in runs)
            panel.set_title(f"{model}, {longest} epochs{number}", color=COLOURS[model], weight="bold")
            panel.set_xlim(0, longest + 1)
            panel.xaxis.get_major_locator().set_params(integer=True)
            if model in models.CLASSIFIERS:
                panel.set(yscale="log", ylim=(3e-5, 2))
                panel.yaxis.set_major_formatter("{x:g}")
            else:
                panel.set_ylim(0, 4)
        figure.supxlabel("epoch", fontsize=10)
        figure.supylabel("training loss", fontsize=10)
        figure.subplots_adjust(left=0.09, right=0.98, top=0.95, bottom=0.08, hspace=0.38, wspace=0.25)
    grids.write_png(path, images[0])
