"""Names of images in registries, as providers write them."""

import re

MAX_LENGTH = 512
# name[:tag][@digest], where the name may begin with a registry. An id of an image is none: it could be anybody's.
REFERENCE = re.compile(
    r"(?P<name>(?:[a-z0-9][a-z0-9.-]*(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
OURS = "mercato-"  # how the images begin that this platform makes: those of other providers among them


def problem_with(text: str) -> str:
    """Why ``text`` is no reference to an image of a registry; empty if it is one."""
    found = REFERENCE.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None:
        return (
            "This is no reference to an image. Write it as `docker pull` takes it, in small letters: name:tag, "
            "registry/name:tag or registry/name@sha256:…"
        )
    if found["name"].rpartition("/")[2].startswith(OURS):
        return f"Names that begin with {OURS} belong to this platform. Push your image under another name."
    return ""


def with_tag(text: str) -> str:
    """``text`` with the tag that it means."""
    found = REFERENCE.fullmatch(text)
    return text if found is None or found["tag"] or found["digest"] else f"{text}:latest"
