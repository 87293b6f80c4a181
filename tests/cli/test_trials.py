"""Models, settings and options of `trials`, before anything runs."""

import pytest

from mnistctl.cli.config_file import OPTION_FIELDS
from mnistctl.cli.errors import describe_error
from mnistctl.cli.trials import (
    _SESSION_FIELDS,
    _configure,
    _plan_sweep,
    _resume_command,
    _trials_command,
)
from mnistctl.errors import UsageError
from mnistctl.training.options import RunOptions
from mnistctl.trials.options import TrialsOptions

NOTHING = dict.fromkeys(OPTION_FIELDS)


@pytest.mark.parametrize("in_file", [False, True])
def test_setting_that_equals_the_value_of_the_first_model_is_that_of_all(in_file, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("epochs = 20\nlabel_smoothing = 0\n")
    given = (None, config) if in_file else (["epochs=20", "label_smoothing=0"], None)
    models, options = _configure(["logit", "linear", "fast"], NOTHING, *given)
    recipes = [options.recipe(model) for model in models]
    assert [(recipe.epochs, recipe.label_smoothing) for recipe in recipes] == [(20, 0)] * 3
    command = _trials_command(TrialsOptions(models=tuple(models), count=2, options=options))
    assert command == "mnistctl trials logit linear fast --set label_smoothing=0.0 -n 2 --epochs 20"


def test_setting_of_the_unchanged_recipe_may_be_varied_and_an_option_of_all_arms_not():
    models, options = _configure(["logit"], NOTHING, ["batch_size=200"], None)
    models, options, sweep = _plan_sweep(models, options, ["batch_size=50"], NOTHING)
    trials = TrialsOptions(models=tuple(models), count=2, options=options, sweep=sweep)
    trials.check()
    assert [options.recipe(model).batch_size for model in models] == [200, 50]
    assert _trials_command(trials) == "mnistctl trials logit --set batch_size=200 --vary batch_size=50 -n 2"

    given = NOTHING | {"batch_size": 200}
    models, options = _configure(["logit"], given, None, None)
    models, options, sweep = _plan_sweep(models, options, ["batch_size=50"], given)
    with pytest.raises(UsageError) as error:
        TrialsOptions(models=tuple(models), count=2, options=options, sweep=sweep).check()
    message = "--vary batch_size: is given as an option of all arms, too; use --set"
    assert describe_error(error.value) == message


def test_command_that_resumes_has_the_options_that_no_journal_holds():
    trials = TrialsOptions(models=("swa",), count=8, options=RunOptions(epochs=2, name="t"))
    given = dict.fromkeys(_SESSION_FIELDS) | {"executor": "local", "insecure": False, "allow_mixed": False}
    assert _resume_command(trials, given) == "mnistctl trials swa -n 8 --name t --resume"
    given |= {"allow_mixed": True, "workers": 2, "reference": "ktorch", "require": "same", "latex": "a b.tex"}
    assert _resume_command(trials, given) == (
        "mnistctl trials swa -n 8 --epochs 2 --name t --workers 2 --allow-mixed --reference ktorch "
        "--require same --latex 'a b.tex' --resume"
    )
