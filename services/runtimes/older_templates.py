"""Where the templates of earlier years look for their input. Every job has all of it, whichever runtime runs it."""

import base64
from collections.abc import Mapping

LINKS = {  # 2022 and 2024; today's template reads /var/runtime/input
    "/var/input/data.json": "/var/runtime/input/data.json",
    "/var/input/params.json": "/var/runtime/input/params.json",
    "/var/input/data/data.json": "/var/runtime/input/data.json",
    "/var/input/params/params.json": "/var/runtime/input/params.json",
}
VALUES = {"DATA_VALUE": "data.json", "PARAMS_VALUE": "params.json"}
VALUE_MAX_BYTES = 96 * 1024  # encoded; a variable of the environment ends at 128 KiB, and its name counts


def variables(inputs: Mapping[str, bytes]) -> dict[str, str]:
    """`DATA_VALUE` and `PARAMS_VALUE`, or that the files are to be read because one of them is too long for that."""
    encoded = {name: base64.b64encode(inputs[file]).decode() for name, file in VALUES.items() if file in inputs}
    if not encoded or any(len(value) >= VALUE_MAX_BYTES for value in encoded.values()):
        return {"BASE64_ENCODED": "false"}
    return {"BASE64_ENCODED": "true", **encoded}
