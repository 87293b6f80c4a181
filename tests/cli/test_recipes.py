"""--set, --like, --init and --copy: what is wrong ends with one line and the right exit code."""

import json
import re

import pytest
from conftest import few_digits
from recipe_files import GAN, HEAD, classifier, module

from mnistctl import models
from mnistctl.artifacts import json_file

SMALL = ("--epochs", "1", "--batch-size", "100")


def digest(tmp_path, name):
    return json.loads((tmp_path / f"out/{name}.json").read_text())["digest"]


WRONG_SETTINGS = {
    "lr=0": "give a number, above 0",
    "lr=nan": "give a number, above 0",
    "lr=inf": "give a number, above 0",
    "lr=": "give a number, above 0",
    "lr=fast": "give a number, above 0",
    "=1": "give KEY=VALUE",
    "dropout": "give KEY=VALUE",
    "": "give KEY=VALUE",
    "batch_size=0": "give a whole number, 1 to 1,000,000,000",
    "batch_size=1e3": "give a whole number, 1 to 1,000,000,000",
    "epochs=1.5": "give a whole number, 1 to 1,000,000",
    "epochs=99999999": "give a whole number, 1 to 1,000,000",
    "optimizer=adamm": "did you mean adam? choose one of adagrad, adam, adamw, lamb",
    "optimizer=": "choose one of adagrad, adam, adamw, lamb",
    "optimizer.momentum=0.9": "there is no such setting",
    "optimizer.weight_decay=-1": "give a number, 0 or more",
    "optimizer.betas=0.9": "give 2 numbers with commas, each 0 or more, below 1",
    "optimizer.betas=0.9,1": "give 2 numbers with commas, each 0 or more, below 1",
    "optimizer.betas=0.9,x": "give 2 numbers with commas, each 0 or more, below 1",
    "optimizer.lr=0.1": "there is no such setting; did you mean lr?",
    "schedule=linear": "choose one of constant, cosine, cycle",
    "schedule.floor=-1": "give a number, 0 or more",
    "schedule.fractions=1": "there is no such setting",
    "net.dropout=1": "give a number, 0 or more, below 1",
    "net.dropout=1e999": "give a number, 0 or more, below 1",
    "net.dropuot=0.1": "there is no such setting; did you mean net.dropout?",
    "dropout=0.1": "there is no such setting; did you mean net.dropout?",
    "net.channels=8": "give 2 whole numbers with commas, each 1 to 10,000",
    "net.channels=8,0": "give 2 whole numbers with commas, each 1 to 10,000",
    "net.hidden=1.5": "give a whole number, 1 to 10,000",
    "shuffle=yes": "give true or false",
    "seed_offset=-1": "give a whole number, 0 to 1,000,000,000,000",
    "swa_fraction=0": "give a number, above 0, at most 1, or none",
    "label_smoothing=1.1": "give a number, 0 to 1",
    "augment.shift=-1": "give a number, 0 to 28",
    "augment.rotation=181": "give a number, 0 to 180",
    "augment.scale=1": "give a number, 0 to 0.9",
    "augment.shear=nan": "give a number, 0 to 2",
    "augment.elastic=x": "give a number, 0 to 14",
    "augment.elastic_width=0": "give a number, 1 to 28",
    "augment.stroke=2.1": "give a number, 0 to 2",
    "augment.erase=0.6": "give a number, 0 to 0.5",
    "augment.mixup=inf": "give a number, 0 to 100",
    "augment.shfit=1": "there is no such setting; did you mean augment.shift?",
    "augment=1": "there is no such setting",
    "loss=mse": "there is no such setting",
    "__class__=1": "there is no such setting",
    "seed=3": "seed is an option, not a setting; use --seed",
    "dataset=sample": "dataset is an option, not a setting; use --dataset",
    "\x1b[31m=1": "\\x1b[31m=1: there is no such setting",
}


@pytest.mark.parametrize("assignment", WRONG_SETTINGS)
def test_wrong_setting_is_one_line_that_says_what_to_give(assignment, run):
    ran = run("train", "conv", "--set", assignment)
    assert ran.returncode == 2
    assert "--set " in ran.stderr
    assert WRONG_SETTINGS[assignment] in ran.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--set", "lr=0.1", "--lr", "0.1"), "lr is given as an option, too"),
        (("--set", "epochs=1", "--epochs", "1"), "epochs is given as an option, too"),
        (("--set", "lr=0.1", "--set", "lr=0.2"), "lr is set twice"),
        (("--set", "optimizer=adagrad", "--set", "optimizer.betas=0.9,0.9"), "there is no such setting"),
        (("--lr", "1e39"), "--lr 1e+39: give 1e+30 or less"),
        (("--config", "c.toml", "--like", "r.json"), "give one of --config and --like"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(words, expected, run):
    ran = run("train", "conv", *words)
    assert ran.returncode == 2
    assert expected in ran.stderr


def test_targets_in_the_wrong_order_are_refused(run):
    assert "give the lower one first" in run("train", "gan", "--set", "real_targets=1,0").stderr


@pytest.mark.parametrize("words", [("--set", "augment.shift=2"), ("--config", "c.toml")])
def test_augmentation_of_a_generator_is_refused(words, run, tmp_path):
    (tmp_path / "c.toml").write_text("[augment]\nshift = 2\n")
    ran = run("train", "gan", *words)
    assert ran.returncode == 2
    assert "augment.shift=2: only classifiers augment their images" in ran.stderr


def test_augmented_run_is_in_its_record_and_is_repeated_to_the_same_digest(run, tmp_path):
    amounts = ("shift=2", "elastic=0.5", "mixup=0.4")
    words = [word for amount in amounts for word in ("--set", f"augment.{amount}")]
    assert run("train", "linear", *SMALL, *words, "--name", "a").returncode == 0
    assert run("train", "linear", *SMALL, "--name", "plain").returncode == 0
    record = json.loads((tmp_path / "out/a.json").read_text())
    changed = {name: value for name, value in record["recipe"]["augment"].items() if value}
    assert changed == {"shift": 2.0, "elastic": 0.5, "elastic_width": 4.0, "mixup": 0.4}
    assert "augment" not in json.loads((tmp_path / "out/plain.json").read_text())["recipe"]
    assert run("train", "--like", "out/a.json", "--name", "b").returncode == 0
    assert digest(tmp_path, "a") == digest(tmp_path, "b") != digest(tmp_path, "plain")


def test_record_is_repeated_with_its_settings_to_the_same_digest(run, tmp_path):
    words = ("--seed", "3", "--set", "optimizer.momentum=0.5", "--name", "first")
    assert run("train", "linear", *SMALL, *words).returncode == 0
    assert run("train", "--like", "out/first.json", "--name", "again").returncode == 0
    assert digest(tmp_path, "again") == digest(tmp_path, "first")
    changed = run(
        "train", "--like", "out/first.json", "--set", "optimizer.momentum=0.4", "--name", "b", "--json"
    )
    assert json.loads(changed.stdout)["origin"]["settings"] == {"optimizer.momentum": 0.4}
    assert "is the record of linear" in run("train", "conv", "--like", "out/first.json").stderr


CHANGED_RECORDS = {
    "setting": lambda body: body["origin"].update(settings={"net.dropout": 1}),
    "value": lambda body: body["origin"].update(settings={"optimizer.momentum": "import os"}),
    "model": lambda body: body["origin"].update(base="os"),
    "package": lambda body: body["origin"].update(kind="package", package="x 1"),
    "kind": lambda body: body["origin"].update(kind="url"),
    "rate": lambda body: body["recipe"]["settings"].update(lr=[1, 2]),
    "batch": lambda body: body["recipe"].update(batch_size=-2),
    "epochs": lambda body: body["recipe"].update(epochs=2),
    "other": lambda body: body["recipe"].update(optimizer="os.system"),
    "none": lambda body: body.pop("recipe"),
}


def test_record_with_changed_contents_is_exit_5_and_one_line(run, tmp_path):
    assert run("train", "linear", *SMALL, "--set", "net.hidden=9", "--name", "first").returncode == 0
    record = json.loads((tmp_path / "out/first.json").read_text())
    del record["checksum"], record["version"]
    for name, change in CHANGED_RECORDS.items():
        body = json.loads(json.dumps(record))
        change(body)
        json_file.write(tmp_path / "x.json", body)
        ran = run("train", "--like", "x.json", "--name", "other")
        assert ran.returncode == 5, (name, ran.stderr)
        assert ran.stderr.startswith("mnistctl: x.json: "), name
    for path in ("nothing.json", "out", "out/first.safetensors"):
        ran = run("train", "--like", path)
        assert ran.returncode == 5
        assert "--overwrite" not in ran.stderr  # that would not help


def test_training_starts_from_weights_and_records_their_digest(run, mnistctl, tmp_path):
    assert run("train", "linear", *SMALL, "--name", "first").returncode == 0
    body = json.loads(run("train", "linear", *SMALL, "--init", "first", "--json").stdout)
    assert body["initial_weights"] == digest(tmp_path, "first")
    assert body["digest"] != digest(tmp_path, "first")
    assert "--init out/first.safetensors" in body["command"]
    assert (tmp_path / "out/linear-init-own.json").exists()
    longer = run("train", "linear", "--epochs", "3", "--batch-size", "100", "--name", "first")
    assert longer.returncode == 2
    (words,) = re.findall("`mnistctl (train linear .*?)` trains its weights for N epochs more", longer.stderr)
    more = mnistctl(*words.replace(" N ", " 1 ").split(), "--overwrite", "--json", MNISTCTL_THREADS="1")
    assert json.loads(more.stdout)["digest"] == body["digest"]
    longer = run("train", "linear", "--epochs", "3", "--init", "first", "--batch-size", "100")
    assert "--init out/linear-init-own.safetensors --name NAME`" in longer.stderr
    assert (
        "that run started from trained weights; use --init"
        in run("train", "--like", "out/linear-init-own.json").stderr
    )
    (tmp_path / "text.safetensors").write_text("no weights")
    for model, weights in (
        ("logit", "first"),
        ("gan", "first"),
        ("linear", "pretrained"),
        ("linear", "nothing"),
        ("linear", "text.safetensors"),
        ("linear", "out"),
    ):
        ran = run("train", model, *SMALL, "--init", weights, "--name", "other")
        assert ran.returncode == 5, ran.stderr
        assert not list(tmp_path.glob("out/other*"))


def copied(model):
    """The model; all but the small ones take many seconds."""
    return (
        model if model in ("logit", "linear", "conv", "swa") else pytest.param(model, marks=pytest.mark.long)
    )


@pytest.mark.parametrize("model", [copied(name) for name in (*models.CLASSIFIERS, *models.GENERATORS)])
def test_unchanged_copy_trains_to_the_same_digest(model, mnistctl, tmp_path):
    few_digits(tmp_path / "few", 60, 20)
    few = ("--dataset", "own", "--data-dir", "few", "--epochs", "1", "--batch-size", "30")
    assert mnistctl("train", "--copy", model, "mine.py").returncode == 0
    for reference, name in ((model, "shipped"), ("mine.py", "copy")):
        ran = mnistctl("train", reference, *few, "--name", name)
        assert ran.returncode == 0, ran.stderr
    assert digest(tmp_path, "copy") == digest(tmp_path, "shipped")
    text = (tmp_path / "mine.py").read_text()
    compared = f"mnistctl trials {model} mine.py -n 6" in text
    assert compared == (model in models.CLASSIFIERS)


def test_copy_never_replaces_a_file_or_takes_the_name_of_a_model(mnistctl, tmp_path):
    (tmp_path / "mine.py").write_text("precious")
    for words, code in (
        (("conv", "mine.py"), 2),
        (("conv", "conv.py"), 2),
        (("conv", "mine.txt"), 2),
        (("conv", ".py"), 2),
        (("conv",), 2),
        (("cnov", "new.py"), 2),
        (("conv", "no_folder/new.py"), 1),
    ):
        ran = mnistctl("train", "--copy", *words)
        assert (ran.returncode, ran.stderr.count("\n")) == (code, 1), words
    assert (tmp_path / "mine.py").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_files_are_evaluated_generated_from_and_used_as_judge(run, mnistctl, tmp_path):
    (tmp_path / "mine.py").write_text(classifier(epochs="1"))
    (tmp_path / "drawer.py").write_text(HEAD + GAN)
    for name in ("mine.py", "drawer.py"):
        assert run("train", name).returncode == 0
    assert run("eval", "mine.py", "--quiet").returncode == 0
    ran = run("eval", "mine-own")
    message = "out/mine-own.safetensors: its net is defined in a file of your own, mine.py"
    assert (ran.returncode, ran.stderr) == (5, f"mnistctl: {message}; name that file with --recipe\n")
    assert run("eval", "mine-own", "--recipe", "mine.py", "--quiet").returncode == 0
    assert mnistctl("generate", "drawer.py", "-n", "1", "--show").returncode == 0
    assert mnistctl("generate", "drawer-own", "-n", "1", "--show").returncode == 5
    judged = run("eval", "drawer.py", "--judge", "mine.py", "-n", "100", "--quiet")
    assert judged.returncode == 0, judged.stderr
    assert "drawer is a generator" in run("trials", "drawer.py", "-n", "1").stderr


def test_error_of_a_generators_own_code_is_one_line_with_its_place(run, mnistctl, tmp_path):
    body = """
class Moody(nn.Sequential):
    def forward(self, noise):
        assert len(noise) != 7, "not seven"
        return super().forward(noise)

"""
    recipe = GAN.replace("lambda: nn.Sequential(", "lambda: Moody(", 1)
    (tmp_path / "moody.py").write_text(HEAD + body + recipe)
    assert run("train", "moody.py").returncode == 0
    for words in ((), ("--idx", "drawn", "--judge", "pretrained")):
        ran = mnistctl("generate", "moody.py", "-n", "7", *words)
        place = "mnistctl: moody.py, line 10: AssertionError: not seven\n"
        assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", place)


def test_what_a_recipe_prints_is_on_stderr(mnistctl, own, tmp_path):
    forward = """
def forward(self, pixels):
    print("a batch")
    return self.l(pixels.flatten(1))
"""
    (tmp_path / "mine.py").write_text(classifier(module(forward), epochs="1"))
    data = ("--dataset", "own", "--data-dir", str(own))
    for words in (("train", *data), ("show", "--model"), ("eval", *data)):
        ran = mnistctl(*words, "mine.py", "--json", MNISTCTL_THREADS="1")
        assert ran.returncode == 0
        assert json.loads(ran.stdout)["version"]
        assert "a batch" in ran.stderr.splitlines()


def test_edited_file_is_refused_and_accepted_with_an_option(run, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(classifier(epochs="1"))
    assert run("train", "mine.py").returncode == 0
    path.write_text(path.read_text() + "# edited\n")
    for words in (("eval", "mine.py"), ("eval", "mine-own", "--recipe", "mine.py")):
        ran = run(*words)
        assert ran.returncode == 5
        assert "not the file that out/mine-own.safetensors was trained from" in ran.stderr
        assert run(*words, "--allow-inexact", "--quiet").returncode == 0
    ran = run("train", "mine.py")
    assert ran.returncode == 2
    assert "contents of the recipe file" in ran.stderr


def test_record_that_is_not_there_is_looked_for_by_the_name_of_its_run(mnistctl, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.json").touch()
    for name in ("mine", "out/mine"):
        ran = mnistctl("train", "--like", name)
        assert ran.returncode == 5
        assert ran.stderr == f"mnistctl: {name}: no such record; did you mean out/mine.json?\n"
    assert "no such record; give the NAME.json of a run" in mnistctl("train", "--like", "other").stderr
