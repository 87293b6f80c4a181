"""Recipe files that are wrong end a command with one line that names the file and the line."""

import os

import pytest
import recipe_files
import torch
from recipe_files import HEAD, NET, classifier, module

from mnistctl.inference.load import Recipes, load_classifier
from mnistctl.models.sources import find

LAYER = "self.l = nn.Linear(784, 10)"
LINEAR = "def forward(self, x):\n    return self.l(x.flatten(1))"
FAILING_STEP = "class O(SGD):\n    def step(self, closure=None):\n        {}\n"
KEEP = FAILING_STEP.format("[self.state[p].update(h={}) for g in self.param_groups for p in g['params']]")
GAN = recipe_files.HEAD + recipe_files.GAN
EVERY_STEP = "def s(lr, n):\n    return (lr,) * {}\ns.every_step = True\n"

# By name: the text of the file, and what the error says after the file's name.
AUGMENTATION = "from mnistctl.nn.augmentation import Augmentation\n"
BROKEN = {
    "syntax": ("import torch\ndef net(:\n", ", line 2: invalid syntax"),
    "indent": ("def f():\nreturn 1\n", ", line 2: expected an indented block"),
    "nul": ("x = 1\0\n", ", line 1: source code string cannot contain null bytes"),
    "empty": ("", ": defines no `recipe`"),
    "no_recipe": (HEAD + NET, ": defines no `recipe`"),
    "import": ("import torch\nimport no_such_package\n", ", line 2: ModuleNotFoundError"),
    "name": ("from torch import nothing_here\n", ", line 1: ImportError"),
    "neighbour": ("import other_file\n", ", line 1: ModuleNotFoundError"),
    "relative": ("from . import x\n", ", line 1: Import"),
    "dict": ("recipe = {'net': 1}\n", ": `recipe` is a dict, not a"),
    "class": (HEAD + "recipe = ClassifierRecipe\n", ": `recipe` is the class ClassifierRecipe"),
    "exit": ("import sys\nsys.exit(0)\n", ", line 2: ends the program"),
    "base_exception": ("class X(BaseException): pass\nraise X('x')\n", ", line 2: X: x"),
    "generator_exit": ("raise GeneratorExit\n", ", line 1: GeneratorExit"),
    "recursion": ("def f(): f()\nf()\n", ", line 1: RecursionError"),
    "escape": ("raise ValueError('\\x1b[31m\\nred')\n", ", line 1: ValueError: \\x1b[31m red"),
    "unknown_field": (classifier(colour="1"), "unexpected keyword argument 'colour'"),
    "missing_field": (HEAD + NET + "recipe = ClassifierRecipe(net=net)\n", "missing 5 required"),
    "shape": (
        classifier("def net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 11))\n"),
        ", line 7: net() gives [2, 11] for 2 images, not [2, 10]",
    ),
    "more_inputs": (classifier(module("def forward(self, x, y):\n    return x")), "takes 2 inputs (x, y)"),
    "no_inputs": (classifier(module("def forward(self):\n    return 1")), "takes 0 inputs, and gets 1"),
    "tuple": (classifier(module("def forward(self, x):\n    return x, x")), "gives a tuple, not a tensor"),
    "none": (classifier(module("def forward(self, x):\n    x")), "gives a NoneType, not a tensor"),
    "whole": (
        classifier(module(f"{LINEAR}.long()")),
        ", line 11: net() gives torch.int64, not floating point numbers",
    ),
    "no_grad": (
        classifier(module(f"@torch.no_grad()\n{LINEAR}")),
        ", line 11: net() gives an output without gradients",
    ),
    "other_in_evaluation": (
        classifier(module(f"{LINEAR}[:, : 10 if self.training else 5]")),
        "gives [2, 5] for 2 images",
    ),
    "forward_fails": (classifier(module("def forward(self, x):\n    return self.m(x)")), ", line 12: Attrib"),
    "net_fails": (classifier("def net():\n    raise ValueError('no\\nluck')\n"), ", line 8: ValueError: no"),
    "net_needs_argument": (classifier("def net(size):\n    return nn.Linear(1, 1)\n"), "line 7: net: Type"),
    "net_is_made": (classifier("net = nn.Linear(784, 10)\n"), "net is of type Linear; give the function or"),
    "net_is_text": (classifier("net = 'conv'\n"), "net is of type str; give the function or class"),
    "lazy": (
        classifier("def net():\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))\n"),
        ", line 7: net() has lazy layers; give their sizes",
    ),
    "no_parameters": (classifier(module("def forward(self, x):\n    return x", "pass")), "no parameters to"),
    "infinite_buffer": (
        classifier(module(LINEAR, f"{LAYER}; self.register_buffer('m', torch.tensor(1e99))")),
        "net(): m has numbers that are not finite; register it with persistent=False",
    ),
    "extra_state": (
        classifier(module(f"{LINEAR}\ndef get_extra_state(self):\n    return {{}}")),
        "has the state _extra_state, a dict; only tensors can be saved",
    ),
    "meta": (
        classifier("def net():\n    return nn.Linear(784, 10, device='meta')\n"),
        "on the device meta; leave it on the processor",
    ),
    "schedule_length": (
        classifier(lr_schedule="lambda lr, n: (lr,) * 3"),
        ", line 10: lr_schedule gives 3 learning rates for 2 epochs",
    ),
    "schedule_steps": (
        classifier(NET + EVERY_STEP.format("2"), lr_schedule="s"),
        ", line 10: lr_schedule gives 2 learning rates for 4 steps",
    ),
    "schedule_inputs": (classifier(lr_schedule="lambda lr: lr"), ", line 10: lr_schedule: TypeError"),
    "schedule_number": (classifier(lr_schedule="0.1"), "lr_schedule is of type float; give a schedule"),
    "schedule_negative": (classifier(lr_schedule="lambda lr, n: (-lr,) * n"), "not a number from 0 to 1e+30"),
    "schedule_huge": (classifier(lr_schedule="lambda lr, n: (10**99,) * n"), "not a number from 0 to 1e+30"),
    "schedule_fails": (classifier(lr_schedule="lambda lr, n: 1 / 0"), ", line 10: ZeroDivisionError"),
    "loss_vector": (classifier(loss="nn.CrossEntropyLoss(reduction='none')"), "no single number with a grad"),
    "loss_class": (classifier(loss="nn.CrossEntropyLoss"), "loss is the class CrossEntropyLoss; give a"),
    "loss_number": (classifier(loss="lambda a, b: 3.0"), "no single number with a gradient"),
    "loss_smoothed": (classifier(loss="nn.CrossEntropyLoss()", label_smoothing="0.1"), "which `loss` replac"),
    "closure": (classifier(optimizer="torch.optim.LBFGS"), ", line 10: LBFGS needs a closure"),
    "optimizer_made": (classifier(optimizer="SGD([torch.ones(1)])"), "optimizer is of type SGD"),
    "optimizer_none": (classifier(optimizer="lambda p: None"), "gives a NoneType, not a torch.optim"),
    "optimizer_state": (
        classifier(KEEP.format("['x']") + NET, optimizer="O"),
        "the optimizer keeps a list, h; only tensors and numbers can be saved",
    ),
    "optimizer_fails": (
        classifier(FAILING_STEP.format("raise RuntimeError('step')") + NET, optimizer="O"),
        ", line 9: RuntimeError: step",
    ),
    "epochs_text": (classifier(epochs="'2'"), ", line 10: epochs is '2'; give a whole number"),
    "epochs_float": (classifier(epochs="2.0"), "epochs is 2.0; give a whole number"),
    "epochs_none": (classifier(epochs="0"), "epochs is 0; give a whole number, 1 to 1,000,000"),
    "batch_size": (classifier(batch_size="None"), "batch_size is None; give a whole number"),
    "rate": (classifier(peak_lr="float('nan')"), "peak_lr is nan; give a number, above 0"),
    "shuffle": (classifier(shuffle="'yes'"), "shuffle is 'yes'; give True or False"),
    "smoothing": (classifier(label_smoothing="'a'"), "label_smoothing is 'a'; give a number"),
    "augment": (classifier(augment="'shift'"), "augment is 'shift'; give an Augmentation, as"),
    "augment_type": (
        classifier(f"{AUGMENTATION}{NET}", augment="Augmentation(shift='2')"),
        "augment.shift is '2'; give a number",
    ),
    "augment_range": (
        classifier(f"{AUGMENTATION}{NET}", augment="Augmentation(erase=0.6)"),
        ", line 11: augment.erase is 0.6; give a number, 0 to 0.5",
    ),
    "augment_name": (
        classifier(f"{AUGMENTATION}{NET}", augment="Augmentation(flip=1)"),
        ", line 11: TypeError",
    ),
    "average": (classifier(swa_fraction="2.0"), "swa_fraction is 2.0; give a number, above 0, at most 1"),
    "seed": (classifier(seed_offset="-1"), "seed_offset is -1; give a whole number, 0 to"),
    "baseline": (classifier(baseline="'conv'"), "baseline is 'conv'; give a ClassifierRecipe or None"),
    "squeezed": (
        classifier(module(f"{LINEAR}.squeeze()")),
        ", line 11: net() gives [10] for 1 image, not [1, 10]",
    ),
    "shared": (
        classifier(f"{NET}made = net()\ndef net():\n    return made\n"),
        "net() gives the same weights again; make new ones in each call",
    ),
    "uncopyable": (
        classifier(module(LINEAR, f"{LAYER}; self.g = (i for i in ())"), swa_fraction="0.5"),
        "a copy of the net, which weight averaging needs: TypeError",
    ),
    "gan_targets": (GAN.replace("epochs=1", "epochs=1, real_targets=(1.0, 0.5)"), "give the lower one first"),
    "gan_shape": (GAN.replace("nn.Linear(100, 784)", "nn.Linear(100, 196)"), "generator"),
    "gan_condition": (GAN.replace("epochs=1", "epochs=1, conditional=True"), "layers.ConditionedNet"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_one_line_with_the_file_and_the_line(name, mnistctl, own, tmp_path):
    text, expected = BROKEN[name]
    (tmp_path / f"{name}.py").write_text(text)
    ran = mnistctl("train", f"{name}.py", "--dataset", "own", "--data-dir", str(own))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"mnistctl: {name}.py")
    assert expected in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.glob("out/*.safetensors"))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("latin.py", b"x = '\xe9'\n", "not a text file in UTF-8"),
        ("large.py", b"#" * (2 << 20), "larger than 1 MiB, so not a recipe file"),
        ("missing.py", None, "cannot be read (No such file or directory)"),
        (".py", b"x = 1", "give the file a name before .py"),
    ],
)
def test_file_that_is_no_text_is_refused(name, content, expected, mnistctl, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ran = mnistctl("train", name)
    assert (ran.returncode, ran.stderr) == (2, f"mnistctl: {name}: {expected}\n")


def test_folder_or_pipe_in_place_of_a_file_is_refused(mnistctl, tmp_path):
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")  # reading it would never end
    for name in ("folder.py", "pipe.py"):
        ran = mnistctl("show", "--model", name)
        assert (ran.returncode, ran.stderr) == (2, f"mnistctl: {name}: not a file\n")


LATE = (
    "def forward(self, x):\n    self.n += 1\n    assert self.n < 9, 'late'\n    return self.l(x.flatten(1))"
)
COUNTED = f"{LAYER}; self.n = 0"
NORMED = "def net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10))\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (classifier(module(LATE, COUNTED)), "late.py, line 13: AssertionError: late"),
        (
            classifier(module(f"{LINEAR} + (len(x) == 88 and 'short')"), batch_size="128"),
            "late.py, line 12: TypeError",
        ),
    ],
    ids=["second epoch", "last batch"],
)
def test_error_after_the_start_is_one_line_and_the_checkpoints_are_kept(
    text, expected, mnistctl, own, tmp_path
):
    (tmp_path / "late.py").write_text(text)
    ran = mnistctl("train", "late.py", "--dataset", "own", "--data-dir", str(own))
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"mnistctl: {expected}")
    assert ran.stderr.count("\n") == 1
    assert list((tmp_path / "out/late-own.unfinished").glob("*.safetensors"))


@pytest.mark.parametrize("command", [("train",), ("trials", "-n", "1")])
@pytest.mark.parametrize(
    ("size", "what"), [("599", "a batch of one image is left"), ("1", "each batch has one image")]
)
def test_batch_of_one_image_is_refused_before_training(size, what, command, mnistctl, own, tmp_path):
    (tmp_path / "normed.py").write_text(classifier(NORMED))
    ran = mnistctl(*command, "normed.py", "--dataset", "own", "--data-dir", str(own), "--batch-size", size)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith(f"mnistctl: --batch-size {size}: {what}, on which the net ")
    assert ran.stderr.endswith("; give another number\n")
    assert not list(tmp_path.glob("out/*.unfinished"))


def test_schedule_of_another_length_is_refused_when_the_epochs_are_changed(mnistctl, own, tmp_path):
    (tmp_path / "two.py").write_text(classifier(lr_schedule="lambda lr, n: (lr, lr / 2)"))
    where = ("--dataset", "own", "--data-dir", str(own))
    for command in (("train", "two.py"), ("trials", "two.py", "-n", "1")):
        ran = mnistctl(*command, *where, "--epochs", "3")
        assert ran.returncode == 2
        assert "gives 2 learning rates for 3 epochs" in ran.stderr


def test_schedule_of_steps_that_fits_other_numbers_only_is_one_line(mnistctl, own, tmp_path):
    (tmp_path / "few.py").write_text(classifier(NET + EVERY_STEP.format("min(n, 4)"), lr_schedule="s"))
    where = ("--dataset", "own", "--data-dir", str(own))
    for options, expected in (
        (("--epochs", "3"), "the recipe's schedule gives 4 learning rates for 6 steps"),
        ((), "the recipe's schedule gives 4 learning rates for 12 steps"),
    ):
        ran = mnistctl("train", "few.py", *where, *options)
        assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
        assert expected in ran.stderr


SOUND = {
    "byte_order_mark": "\ufeff" + classifier(),
    "windows_lines": classifier().replace("\n", "\r\n"),
    "shared_weights": classifier(
        module(
            "def forward(self, x):\n    return self.m(self.l(x.flatten(1)))",
            "self.l = nn.Linear(784, 10); self.m = nn.Linear(10, 10); self.k = nn.Linear(10, 10);"
            " self.k.weight = self.m.weight",
        )
    ),
    "frozen_part": classifier(
        module(LINEAR, "self.l = nn.Linear(784, 10); self.f = nn.Linear(1, 1).requires_grad_(False)")
    ),
    "whole_numbers": classifier(
        module(
            "def forward(self, x):\n    return self.l(x.flatten(1)[:, self.order])",
            f"{LAYER}; self.order = nn.Parameter(torch.arange(784), requires_grad=False)",
        ),
        swa_fraction="0.5",
    ),
    "double": classifier(module(f"{LINEAR}.double()")),
    "lists_of_rates": classifier(lr_schedule="lambda lr, n: [lr] * n"),
    "numpy_rates": "import numpy\n" + classifier(lr_schedule="lambda lr, n: numpy.linspace(lr, lr / 2, n)"),
    "every_step": classifier(NET + EVERY_STEP.format("n"), lr_schedule="s"),
    "own_loss": classifier(loss="nn.CrossEntropyLoss(label_smoothing=0.1)"),
    "main": classifier() + "if __name__ == '__main__':\n    raise SystemExit(1)\n",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass A:\n    b: int = 1\n" + classifier(),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_file_is_trained_and_its_net_loaded(name, mnistctl, own, tmp_path):
    (tmp_path / f"{name}.py").write_bytes(SOUND[name].encode())
    train = ("train", f"{name}.py", "--dataset", "own", "--data-dir", str(own), "--threads", "1")
    ran = mnistctl(*train)
    assert ran.returncode == 0, ran.stderr
    trained = tmp_path / f"out/{name}-own.safetensors"
    model, net = load_classifier(trained, Recipes((find(str(tmp_path / f"{name}.py")),)))
    assert model == name
    assert net(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


def test_loading_a_file_does_not_put_its_folder_on_the_import_path(tmp_path):
    (tmp_path / "neighbour.py").write_text("x = 1\n")
    path = tmp_path / "mine.py"
    path.write_text("import sys\nassert not any('neighbour' in str(p) for p in sys.path)\n" + classifier())
    assert find(str(path)).load().epochs == 2
    path.write_text("import neighbour\n" + classifier())
    with pytest.raises(Exception, match=r"mine\.py, line 1: ModuleNotFoundError"):
        find(str(path)).load()
