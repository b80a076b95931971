"""Whether an input fits the schema that its provider wrote. Both are foreign, so neither is looked at in our process.

`schema` makes one JSON Schema of a description, `process` keeps the children that check, `program` is what they run.
"""

from services.checking.process import Busy, Findings, Violation, check
from services.checking.schema import Schema, of_body

__all__ = ["Busy", "Findings", "Schema", "Violation", "check", "of_body"]
