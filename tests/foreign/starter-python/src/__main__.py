import json
import os

from .program import run

folder = os.path.join(os.path.dirname(__file__), "..", "input")
with open(os.path.join(folder, "data.json")) as data, open(os.path.join(folder, "params.json")) as params:
    print(run(json.load(data), json.load(params)))
