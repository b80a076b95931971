"""Names of images in registries, as providers write them."""

import re

MAX_CHARACTERS = 512
# name[:tag][@digest], where the name may begin with a registry. An id of an image is none: it could be anybody's.
REFERENCE = re.compile(
    r"(?P<name>(?:[a-z0-9][a-z0-9.-]*(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# The beginning of an id, and what engines read as one or as a place of the host.
IDENTITY = re.compile(r"[0-9a-f]{1,64}")
NOT_IN_REGISTRIES = (
    "sha256",
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
)
OF_AN_INSTANCE = re.compile(r"mercato-[0-9a-f]{8}")
OURS = "mercato-"  # how the images begin that this platform makes: those of other providers among them


NO_REGISTRY = (
    "What begins with `{}:` is no image of a registry: an id could be that of anybody's image. Write name:tag, "
    "registry/name:tag or registry/name@sha256:…"
)


def problem_with(text: str) -> str:
    """Why ``text`` is no reference to an image of a registry; empty if it is one."""
    found = REFERENCE.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if found is None:
        return (
            "This is no reference to an image. Write it as `docker pull` takes it, in small letters: name:tag, "
            "registry/name:tag or registry/name@sha256:…"
        )
    if found["name"] in NOT_IN_REGISTRIES:
        return NO_REGISTRY.format(found["name"])
    if found["name"].rpartition("/")[2].startswith(OURS):
        return f"Names that begin with {OURS} belong to this platform. Push your image under another name."
    return ""


def may_be_id(text: str) -> bool:
    """Whether an engine could take ``text`` for the beginning of an id."""
    return IDENTITY.fullmatch(text.lower()) is not None


def problem_with_base(text: str) -> str:
    """Why no Dockerfile may name ``text``, which is none of its own stages; empty if it may."""
    if may_be_id(text):
        return f"It may be the id of somebody else's image. If it is a name, write it with its tag: {text}:latest."
    found = REFERENCE.fullmatch(text.lower()) if len(text) <= MAX_CHARACTERS else None
    if found is None:
        return "Write it as `docker pull` takes it: name:tag, registry/name:tag or registry/name@sha256:…"
    if found["name"] in NOT_IN_REGISTRIES:
        return NO_REGISTRY.format(found["name"])
    if OF_AN_INSTANCE.fullmatch(found["name"].rpartition("/")[2]):
        return "It is an image that this platform made for a service. Begin with what that one begins with."
    return ""


def with_tag(text: str) -> str:
    """``text`` with the tag that it means."""
    found = REFERENCE.fullmatch(text)
    return text if found is None or found["tag"] or found["digest"] else f"{text}:latest"
