import base64
import json
import logging
import os

from .program import solve

logging.basicConfig(level=os.environ.get("LOG_LEVEL", "WARNING"))


def value(name, path):
    if os.environ.get("BASE64_ENCODED", "true").lower() == "true":
        return json.loads(base64.b64decode(os.environ[name]))
    with open(path) as file:
        return json.load(file)


data = value("DATA_VALUE", "/var/input/data/data.json")
params = value("PARAMS_VALUE", "/var/input/params/params.json")
logging.info("input has %s keys", len(data))
try:
    print("Job:ResulsResponse:", json.dumps({"result": solve(data, params), "metadata": {}}))
except KeyError as error:
    print("Job:ErrorResponse:", json.dumps({"code": "400", "detail": f"{error} is missing"}))
