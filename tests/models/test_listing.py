"""The list of models."""

import json

from mnistctl import models
from mnistctl.models import listing
from mnistctl.models.listing import LISTED, ModelSummary, list_models, measure_model
from mnistctl.models.published import Published

MODELS = [*models.CLASSIFIERS, *models.GENERATORS]


def test_list_has_all_models_in_order():
    rows = list_models()
    assert [row.model for row in rows] == MODELS
    for row in rows:
        assert ModelSummary.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_list_says_what_nets_and_recipes_are():
    """`python tools/listed.py` writes the file."""
    assert json.loads(LISTED.read_text()) == {name: measure_model(name) for name in MODELS}


def test_model_that_was_added_here_is_listed(monkeypatch, tmp_path):
    monkeypatch.setitem(models.CLASSIFIERS, "logit", "An added model.")
    (tmp_path / "listed.json").write_text("{}")
    monkeypatch.setattr(listing, "LISTED", tmp_path / "listed.json")
    monkeypatch.setattr(listing, "load_published", lambda _: Published(source="", dataset="mnist", models={}))
    (row,) = (row for row in list_models() if row.model == "logit")
    assert (row.description, row.parameters, row.published) == ("An added model.", (7850,), None)
