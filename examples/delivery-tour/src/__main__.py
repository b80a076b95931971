"""Runs the service on your machine with the files in input/: python -m src"""

import asyncio
import inspect
import json
import logging
from pathlib import Path

from .program import run

INPUT = Path(__file__).resolve().parent.parent / "input"

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
data = json.loads((INPUT / "data.json").read_text())
params = json.loads((INPUT / "params.json").read_text())
result = run(data, params)
if inspect.isawaitable(result):
    result = asyncio.run(result)
print(json.dumps(result, indent=2))
