"""Runs the service on your machine with the files in input/, its own files going to output/: python -m src"""

import json
import logging
import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OUTPUT_DIRECTORY", str(PROJECT / "output"))

from .program import run  # noqa: E402 - it reads the variable

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
data = json.loads((PROJECT / "input" / "data.json").read_text())
params = json.loads((PROJECT / "input" / "params.json").read_text())
print(json.dumps(run(data, params), indent=2))
