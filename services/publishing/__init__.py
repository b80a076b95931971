"""Making and changing offers. Making a version runnable is builds.py's business, taking zips apart sources/'s.

Every verb refuses with a ValidationError whose keys are the verb's own argument names (`upload`, `openapi_file`,
`name`, `memory_mib`, …): a form with fields of the same names takes it by ``form.add_error(None, error)``.
Who may do it is the caller's question (rules.py).
"""

from services.publishing.configuration import (
    TAKEN_FROM_MANIFEST,
    Configuration,
    default_network,
    resources_of,
)
from services.publishing.descriptions import Overtaken, default_description, describe, digest
from services.publishing.services import TAGS_MAX, create_service, delete_service, may_object, update_service
from services.publishing.versions import add_version, next_number

__all__ = [
    "TAGS_MAX",
    "TAKEN_FROM_MANIFEST",
    "Configuration",
    "Overtaken",
    "add_version",
    "create_service",
    "default_description",
    "default_network",
    "delete_service",
    "describe",
    "digest",
    "may_object",
    "next_number",
    "resources_of",
    "update_service",
]
