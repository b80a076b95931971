"""System checks: what `manage.py check` says about a deployment before it serves anybody."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def unsafe_runtime(**_: Any) -> list[CheckMessage]:
    """Refuse ALLOW_UNSAFE_RUNTIME on a server that others reach."""
    if not settings.ALLOW_UNSAFE_RUNTIME:
        return []
    return [
        Error(
            "ALLOW_UNSAFE_RUNTIME=1 runs foreign code without a sandbox.",
            hint="Unset it. A host without user namespaces needs kernel.unprivileged_userns_clone=1 instead.",
            id="mercato.E001",
        )
    ]
