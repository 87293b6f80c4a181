"""docs/speed.md: every figure equals its record."""

import json
from pathlib import Path

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
    slow = record("speed-slow")["recipes"]["linear"]["microseconds_per_image"]
    assert f"{slow['ours']:.1f} us per image and {slow['plain']:.1f} for the plain loop" in TEXT


def test_accuracy_of_both_loops_is_the_recorded_one():
    paths = record("paths")
    low, high = paths["interval"]
    interval = f"(95 % interval {low:+.3f} to {high:+.3f};"
    assert f"is {paths['difference']:+.3f} points on average {interval}" in TEXT


def test_start_up_and_saving_take_the_recorded_time():
    start = record("start")["seconds"]
    assert f"takes {start['ours']:.2f} s instead of {start['with the compiler']:.2f}" in TEXT
    saving = record("saving")["costs"]["conv"]
    milliseconds, share = 1e3 * saving["saving_seconds"], 100 * saving["share_of_epoch"]
    assert f"takes {milliseconds:.0f} ms, {share:.2f} % of the epoch" in TEXT
