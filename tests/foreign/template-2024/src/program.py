import json
import os
import sys


def run(data, params):
    with open("/var/input/data.json") as file:
        assert json.load(file) == data
    with open(os.path.join(os.environ["INPUT_DIRECTORY"], "params.json")) as file:
        assert json.load(file) == params
    for step in range(params["steps"]):
        print("PlanQK:Job:InterimResult:", json.dumps({"step": step, "best": data["start"] - step}))
        sys.stdout.flush()
    with open("/var/runtime/output/steps.txt", "w") as file:
        file.write(f"{params['steps']}\n")
    print("PlanQK:Job:MultilineResult")
    print(json.dumps({"best": data["start"] - params["steps"]}, indent=2))
    print("PlanQK:Job:MultilineResult")
