"""docs/speed.md: every figure equals its record."""

import json
import re
import statistics
from pathlib import Path

import pytest

from mnistctl import models
from mnistctl.evaluation.fidelity import FRECHET_RESAMPLES

ROOT = Path(__file__).parents[2]
SPEED = (ROOT / "docs/speed.md").read_text()
LINES, TEXT = SPEED.splitlines(), " ".join(SPEED.split())


def record(name):
    return json.loads((ROOT / f"records/{name}.json").read_text())


def test_times_of_the_training_passes_are_the_recorded_ones():
    for name, row in record("speed")["recipes"].items():
        us, ratios = row["microseconds_per_image"], row["times_as_long_as_ours"]
        cells = [f"{us[loop]:.1f}" for loop in ("ours", "plain", "loader", "pictures")]
        cells += [f"{ratios[loop]:.2f}" for loop in ("plain", "loader", "pictures")]
        cells += [f"{row['plain_over_bf16']:.2f}", f"{row['share_of_mm']:.2f}"]
        assert f"| {name} | {' | '.join(cells)} |" in LINES


def test_times_of_whole_epochs_are_the_recorded_ones():
    for name, row in record("speed")["one_epoch"].items():
        cells = [row["dataset"], f"{row['seconds']:.1f}", f"{row['training_seconds']:.1f}"]
        assert f"| {name} | {' | '.join(cells)} | {row['peak_megabytes']} |" in LINES


def test_first_epochs_of_simpnet_are_the_recorded_ones():
    for model in ("simple", "wsimple"):
        for precision in ("float32", "bf16"):
            run = record(f"{model}-one-{precision}")
            assert (run["model"], run["precision"]) == (model, precision)
            assert (run["recipe"]["epochs"], run["dataset"]["name"]) == (1, "mnist")
            averages = run.get("averages", [])
            cells = [f"{run['losses'][0]:.4f}", f"{run['test_losses'][0]:.4f}"]
            cells += [f"{run['accuracies'][0]:.2f} %"]
            cells += [f"{averages[-1]['accuracy']:.2f} %" if averages else ""]
            assert f"| {model} | {precision} | {' | '.join(cells)} | {run['seconds']:.0f} |" in LINES


def test_averaged_weights_of_simpnet_are_the_recorded_ones():
    run = record("wsimple-sample")
    stale, recomputed = (average["accuracy"] for average in run["averages"])
    reached = f"weights reach {run['accuracies'][-1]:.2f} %, their average {stale:.2f} %"
    assert f"{reached}, and the average with recomputed batch-norm statistics {recomputed:.2f} %" in TEXT
    assert f"`records/wsimple-sample.json`, {run['recipe']['epochs']} epochs" in TEXT
    full = record("wsimple")
    accuracies = full["accuracies"][-1], *(average["accuracy"] for average in full["swa"])
    assert "`records/wsimple.json`), these are {:.2f} %, {:.2f} % and {:.2f} %".format(*accuracies) in TEXT


def test_gain_of_bfloat16_is_the_recorded_one():
    epyc, xeon = (
        record(name)["recipes"]["conv"]["microseconds_per_image"] for name in ("speed", "speed-xeon")
    )
    assert f"took {epyc['bf16']:.0f} us instead of {epyc['ours']:.0f} on" in TEXT
    assert f"but {xeon['bf16']:.0f} instead of {xeon['ours']:.0f} on" in TEXT


def test_variation_between_runs_is_the_recorded_one():
    runs = [record(name)["recipes"] for name in ("speed", "speed-again")]
    for model in ("logit", "conv"):
        first, second = (f"{run[model]['times_as_long_as_ours']['plain']:.2f}" for run in runs)
        assert f"{second} for {model} instead of {first}" in TEXT
    third, xeon = (
        record(f"speed-{name}")["recipes"]["conv"]["times_as_long_as_ours"]["plain"]
        for name in ("slow", "xeon")
    )
    assert f"conv has {third:.2f} in a third run (`records/speed-slow.json`), and {xeon:.2f} on an" in TEXT
    slow = record("speed-slow")["recipes"]["linear"]["microseconds_per_image"]
    assert f"{slow['ours']:.1f} us per image and {slow['plain']:.1f} for the plain loop" in TEXT


def test_accuracy_of_both_loops_is_the_recorded_one():
    paths = record("paths")
    low, high = paths["interval"]
    interval = f"(95 % interval {low:+.3f} to {high:+.3f};"
    assert f"is {paths['difference']:+.3f} points on average {interval}" in TEXT


def test_start_up_and_saving_take_the_recorded_time():
    start, ratios = record("start")["seconds"], record("start")["times_as_long_as_import_torch"]
    assert f"takes {start['train']:.2f} s instead of {start['train with the compiler']:.2f}" in TEXT
    first = "train: first epoch ends"
    assert (
        f"Its epoch ends after {start[first]:.2f} s, {ratios[first]:.2f} times as long as `import torch`"
        in TEXT
    )
    assert f"`mnistctl train --list`, which does not load torch, takes {start['train --list']:.2f} s" in TEXT
    saving = record("saving")["costs"]["conv"]
    milliseconds, share = 1e3 * saving["saving_seconds"], 100 * saving["share_of_epoch"]
    assert f"takes {milliseconds:.0f} ms, {share:.2f} % of the epoch" in TEXT


def test_times_on_a_busy_machine_are_the_recorded_ones():
    busy = record("busy")
    assert busy["rounds"] == 20
    assert f"`GOMP_SPINCOUNT={busy['environments']['ours']['GOMP_SPINCOUNT']}`" in TEXT
    for name, row in busy["recipes"].items():
        times, ratio = row["milliseconds_of_a_step"], row["quiet_ours_over_spinning"]
        cells = [str(busy["threads"][name])]
        cells += [
            f"{times[state][variant]:.2f}"
            for state in ("quiet", "busy")
            for variant in ("spinning", "sleeping", "ours")
        ]
        cells += [f"{row['busy_over_quiet']['ours']['median']:.2f}"]
        cells += [f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"]
        assert f"| {name} | {' | '.join(cells)} |" in LINES
    one, two = (
        {state: row[variant] for state, row in busy["recipes"]["logit"]["milliseconds_of_a_step"].items()}
        for variant in ("ours", "spinning")
    )
    assert f"a second one shortens its step from {one['quiet']:.2f} to {two['quiet']:.2f} ms" in TEXT
    assert one["busy"] <= two["busy"]  # "beside other work it gains nothing"


def test_times_of_two_versions_are_the_recorded_ones():
    assert f"*Before* is commit {record('versions')['before']}." in TEXT
    for name, row in record("versions")["models"].items():
        step, ratio = row["milliseconds_of_a_step"], row["step_before_over_now"]
        scored = row.get("microseconds_of_a_scored_image", {})
        cells = [f"{step['before']:.2f}", f"{step['now']:.2f}"]
        cells += [f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"]
        cells += [f"{scored[version]:.1f}" if scored else "" for version in ("before", "now")]
        cells += [str(row["peak_mib"][version]) for version in ("before", "now")]
        assert f"| {name} | {' | '.join(cells)} |" in LINES


def test_effects_of_two_threads_and_of_bfloat16_are_the_recorded_ones():
    two = record("versions-two-threads")
    assert "--threads 2" in two["command"]
    step, ratio = (two["models"]["logit"][key] for key in ("milliseconds_of_a_step", "step_before_over_now"))
    times = f"its step takes {step['now']:.2f} ms instead of {step['before']:.2f}"
    assert f"{times}: {format_ratio(ratio)} (`records/versions-two-threads.json`)" in TEXT
    bf16 = record("versions-bf16")
    assert "--precision bf16" in bf16["command"]
    epoch = format_ratio(bf16["models"]["simple"]["epoch_before_over_now"])
    assert f"an epoch of SimpNet gains nothing: before / now is {epoch}" in TEXT
    assert two["before"] == bf16["before"] == record("versions")["before"]


def format_ratio(ratio):
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def test_ratios_before_and_now_are_the_recorded_ones():
    before, now = record("speed-xeon"), record("speed-xeon-2")
    assert before["machine"] == now["machine"]
    for name in now["recipes"]:
        cells = []
        for ratio in ("plain", "pictures"):
            cells += ratios_of(before, now, name, "times_as_long_as_ours", ratio)
        cells += ratios_of(before, now, name, "share_of_mm")
        cells += [
            f"{run['one_epoch'][name]['training_seconds']:.2f}" if name in run["one_epoch"] else ""
            for run in (before, now)
        ]
        assert f"| {name} | {' | '.join(cells)} |" in LINES


def ratios_of(before, now, name, *keys):
    """The value at `keys` of a recipe in both records, empty if a record lacks the recipe."""
    cells = []
    for run in (before, now):
        value = run["recipes"].get(name)
        for key in keys:
            value = value and value[key]
        cells.append("" if value is None else f"{value:.2f}")
    return cells


def test_operations_of_a_step_are_the_recorded_ones():
    for name, row in record("operations")["models"].items():
        times = row["milliseconds_of_a_step"], row["products"], row["as_a_matrix_product"]
        digits = 1 if times[0] > 30 else 2 if times[0] > 1 else 3
        (line,) = (line for line in LINES if line.startswith(f"| {name} | {times[0]:.{digits}f} |"))
        assert line.startswith(f"| {name} | {' | '.join(f'{time:.{digits}f}' for time in times)} |")
        for operation, time in re.findall(r"`(\w+)` ([\d.]+)", line):
            assert float(time) == pytest.approx(row["operations"][operation], abs=0.05)


def test_other_ways_to_compute_conv_have_the_recorded_times():
    parts = record("convolutions")
    second = parts["second convolution"]
    own, less, more = (value for name, value in second.items() if name.endswith("of the input"))
    assert f"takes {own} ms, {less} with 16 and 48 channels, and {more} with 32 and 64" in TEXT
    products = parts["second convolution, as a matrix product"].values()
    assert "would take {}, {} and {} ms.".format(*products) in TEXT
    usual, unfolded = parts["first convolution"].values()
    assert f"unfolded patches takes {unfolded} ms instead of {usual}" in TEXT
    usual, maxima = parts["pool"].values()
    assert f"two maxima {maxima} ms instead of {usual}" in TEXT
    assert usual < maxima


def test_times_of_the_frechet_distance_are_the_recorded_ones():
    seconds = record("frechet")["seconds"]
    time = {
        (state, variant): f"{statistics.median(seconds[state][variant]):.2f}"
        for state in ("quiet", "busy")
        for variant in ("numpy", "ours")
    }
    assert f"took them {time['busy', 'numpy']} s instead of {time['quiet', 'numpy']}" in TEXT
    assert f"{time['busy', 'ours']} s there, and {time['quiet', 'ours']} s on a quiet machine" in TEXT
    assert f"computes {2 * (FRECHET_RESAMPLES + 1)} of these" in TEXT
    rounds = len(seconds["busy"]["ours"])
    assert f"(medians of {rounds} rounds; `python bench/frechet.py`, `records/frechet.json`)" in TEXT


def test_times_on_a_gpu_are_the_recorded_ones():
    rows = record("gpu-epochs")["recipes"]
    for name, row in rows.items():
        seconds = (f"{row['seconds_of_an_epoch'][loop]:.2f}" for loop in ("ours", "plain", "tf32", "bf16"))
        ratios = (row[name] for name in ("plain_over_ours", "ours_over_tf32", "ours_over_bf16"))
        brackets = (f"{each['median']:.2f} ({each['low']:.2f} to {each['high']:.2f})" for each in ratios)
        assert f"| {name} | {' | '.join((*seconds, *brackets))} |" in LINES

    def where(ratio, end, beyond):
        return {name for name, row in rows.items() if beyond * row[ratio][end] > beyond}

    assert where("plain_over_ours", "low", 1) == {"logit", "lstm", "gan", "cgan"}
    assert where("plain_over_ours", "high", -1) == set()
    assert where("ours_over_bf16", "high", -1) == {"logit", "linear", "lstm"}
    assert where("ours_over_bf16", "low", 1) == set()
    assert where("ours_over_tf32", "low", 1) == {"simple", "gan"}
    logit, linear, conv, lstm = (
        f"{record('speed-xeon-2')['one_epoch'][name]['training_seconds']:.2f}"
        for name in ("logit", "linear", "conv", "lstm")
    )
    times = f"take {logit} s for logit, {linear} for linear, {conv} for conv and {lstm} for lstm"
    assert times in TEXT and float(logit) < rows["logit"]["seconds_of_an_epoch"]["ours"]


def test_times_on_a_gpu_are_compared_with_the_published_ones():
    rows = record("gpu-epochs")["recipes"]
    published = {"linear": 9.3, "conv": 24, "simple": 840, "lstm": 108, "gan": 140, "cgan": 150}
    ours = {name: models.load(name).epochs * rows[name]["seconds_of_an_epoch"]["ours"] for name in published}
    first, *others, last = (f"{name} {time:g}" for name, time in published.items())
    assert f"{first} s, {', '.join(others)} and {last}. Our passes" in TEXT
    *most, last = (f"{ours[name]:.0f}" for name in published)
    assert f"take {', '.join(most)} and {last} s. So linear, gan and cgan take longer here" in TEXT
    assert {name for name in published if ours[name] > published[name]} == {"linear", "gan", "cgan"}


def test_times_of_whole_runs_on_a_gpu_are_the_recorded_ones():
    run, trials = record("wsimple"), record("trials-swa-40")
    assert f"took {run['seconds']:.0f} s, alone on the GPU, and {run['processor_seconds']:.0f} s of" in TEXT
    assert f"took {trials['session_seconds']:.0f} s for its {trials['count']} pairs" in TEXT
