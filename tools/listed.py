"""Write what the list of models says about nets and recipes: python tools/listed.py"""

import json

from mnistctl import models
from mnistctl.models.listing import LISTED, measure_model

rows = [
    f"{json.dumps(name)}: {json.dumps(measure_model(name))}"
    for name in models.CLASSIFIERS | models.GENERATORS
]
LISTED.write_text("{\n " + ",\n ".join(rows) + "\n}\n", encoding="utf-8")
