"""What starts an execution: the schemas of `data` and `params`, and examples to begin with."""

from typing import Any

from services.contracts.reading import Contract
from services.contracts.schemas import SchemaReader, indented, mapping


def input_schemas(contract: Contract) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schemas of `data` and `params` as written (they may hold `#/` references); empty where there is none."""
    reader = SchemaReader(contract.document)
    properties = mapping(reader.merged(reader.start_body().get("schema")), "properties")
    named = mapping(mapping(contract.document, "components"), "schemas")

    def schema(key: str, name: str) -> dict[str, Any]:
        found = properties.get(key, named.get(name))
        return found if isinstance(found, dict) else {}

    return schema("data", "InputData"), schema("params", "InputParams")


def example_input(contract: Contract) -> tuple[str, str]:
    """Texts of `data` and `params` to begin a job with: from examples, else defaults, else types. Indented JSON."""
    reader = SchemaReader(contract.document)
    whole = reader.body_example(reader.start_body())
    data, params = (
        whole[key] if isinstance(whole, dict) and key in whole else reader.example_of(schema)
        for key, schema in zip(("data", "params"), input_schemas(contract), strict=True)
    )
    return indented({} if data is None else data), indented({} if params is None else params)
