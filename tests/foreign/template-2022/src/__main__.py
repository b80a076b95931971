import json

from .program import run

with open("./input/data.json") as data, open("./input/params.json") as params:
    response = run(json.load(data), json.load(params))
print(response.to_json())
