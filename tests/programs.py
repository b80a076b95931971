"""Programs for tests, as built versions: real source in storage, a real environment on the host."""

import io
import zipfile
from pathlib import Path
from uuid import uuid4

from django.core.files.base import ContentFile

from portal.accounts.models import Account
from services import runtimes, sources
from services.models import ServiceVersion
from services.runtimes import environments, slots
from services.runtimes.base import BuildSpec
from tests.factories import ServiceVersionFactory
from tests.waiting import wait_for


def version_of(code: str, *, account: Account, requirements: str = "", **columns: object) -> ServiceVersion:
    """A built version whose `src/program.py` is ``code``; ``columns`` are those of the version."""
    archive = zipped({"src/__init__.py": "", "src/program.py": code, "requirements.txt": requirements})
    source = sources.check(ContentFile(archive), "program.zip")
    sources.store(ContentFile(archive), source.sha256)
    return ServiceVersionFactory(
        service__account=account,
        source_sha256=source.sha256,
        environment=_environment(requirements, sources.materialise(source.sha256)),
        **columns,
    )


def zipped(files: dict[str, str | bytes]) -> bytes:
    """A zip with ``files``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


_made: dict[str, str] = {}


def _environment(requirements: str, source: Path) -> str:
    if requirements not in _made:
        slot = wait_for(lambda: slots.acquire("build"), what="a slot to build in")
        spec = BuildSpec(build_id=uuid4(), source=source, limits=environments.limits())
        try:
            _made[requirements] = runtimes.get("python").prepare(spec, slot, lambda *_: None).environment
        finally:
            slot.release()
    return _made[requirements]
