"""Schemas that include one another, and many properties."""

import time
from typing import Any

from services import contracts
from services.contracts.schemas import SchemaReader
from tests.services.contracts.conftest import document


def test_schemas_that_include_one_another_without_end_are_read():
    def included(times: int) -> dict[str, Any]:
        """A chain, each step of which is there ``times`` times."""
        chain = {f"A{n}": {"allOf": [{"$ref": f"#/components/schemas/A{n + 1}"}] * times} for n in range(900)}
        return chain | {"A900": {"type": "object", "properties": {"x": {}}, "required": ["x"]}}

    for times in (1, 2):
        contract = contracts.parse(document({"InputData": {"$ref": "#/components/schemas/A0"}} | included(times)))
        assert [each.name for each in contracts.inputs_of(contract)][:2] == ["data", "params"]
        near = contracts.parse(document({"InputData": {"$ref": "#/components/schemas/A870"}} | included(times)))
        assert SchemaReader(near.document).merged({"$ref": "#/components/schemas/A870"})["required"] == ["x"]


def test_many_properties_that_must_be_sent_are_read_soon():
    names = [f"{number:x}" for number in range(30_000)]
    schema = {"type": "object", "properties": {name: {} for name in names}, "required": names}
    contract = contracts.parse(document({"InputData": schema}))
    began = time.process_time()
    assert contracts.operations(contract)
    assert contracts.differences(contract, contract) == []
    assert time.process_time() - began < 2
