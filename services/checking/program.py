"""The program of a child that checks: frames in, frames out, and the kernel ends it where a check takes too long.

A schema of a few lines can take for ever (alternatives that refer to alternatives), and no library bounds that.
Run as a file, by `process`; its only imports are installed packages.
"""

import datetime
import json
import re
import resource
import signal
import struct
import sys
from collections import OrderedDict
from typing import Any, BinaryIO

import jsonschema_rs

CPU_SECONDS = 2.0
WALL_SECONDS = 20.0  # a host so busy that two seconds of CPU take longer has other worries
MEMORY_BYTES = 1 << 30
VALIDATORS_MAX = 64
VIOLATIONS_MAX = 100
BRANCHES_SHOWN = 3
MESSAGE_MAX_CHARACTERS = 300
# Of a message that is too long: it begins with the value and ends with what is wrong about it.
HEAD_CHARACTERS, TAIL_CHARACTERS = 90, 200
BACKTRACK_MAX = 100_000
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LENGTH = struct.Struct(">I")


def main() -> None:
    """Answer until the parent closes our input."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent, whose end is ours
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    validators: OrderedDict[bytes, Any] = OrderedDict()
    while (key := _read(sys.stdin.buffer)) is not None:
        instance = _read(sys.stdin.buffer) or b"null"
        if key not in validators:
            _write({"asks": "schema"})
            text = _read(sys.stdin.buffer) or b"{}"
            _set_timers(CPU_SECONDS, WALL_SECONDS)
            validators[key] = _compiled(int(key.partition(b":")[0]), text)
        validators.move_to_end(key)
        _set_timers(CPU_SECONDS, WALL_SECONDS)
        answer = _checked(validators[key], json.loads(instance))
        _set_timers(0, 0)
        _write(answer)
        if len(validators) > VALIDATORS_MAX:
            validators.popitem(last=False)


def _set_timers(cpu: float, wall: float) -> None:
    """Both end this process, whatever it is doing: a handler in Python would wait for the library to return."""
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, wall)


def _compiled(draft: int, text: bytes) -> Any:
    """The validator, or why there is none."""
    kind = jsonschema_rs.Draft4Validator if draft == 4 else jsonschema_rs.Draft202012Validator
    try:
        return kind(
            json.loads(text),
            formats={"date": _is_date, "uuid": _is_uuid, "time": _is_anything},
            validate_formats=True,
            retriever=_retrieve_nothing,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_MAX),
        )
    except (ValueError, LookupError, RecursionError, jsonschema_rs.ReferencingError) as error:
        return _reason(error)


def _checked(validator: Any, instance: Any) -> dict[str, Any]:
    if isinstance(validator, str):
        return {"unusable": validator}
    found: dict[tuple[str, str], None] = {}
    more = 0
    try:
        for error in validator.iter_errors(instance):
            if isinstance(error.kind, NOT_THE_INPUTS_FAULT):
                continue
            cause = _cause(error)
            violation = (_pointer(cause.instance_path), _message(cause))
            if len(found) < VIOLATIONS_MAX:
                found[violation] = None
            elif violation not in found:
                more += 1
    except (ValueError, RecursionError) as error:  # deeper than the library goes, or a number that it cannot read
        return {"unusable": _reason(error)}
    return {"violations": list(found), "more": more}


KINDS = jsonschema_rs.ValidationErrorKind
NOT_THE_INPUTS_FAULT = (KINDS.BacktrackLimitExceeded, KINDS.RegexEngineFailure, KINDS.Referencing)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:MESSAGE_MAX_CHARACTERS]


def _cause(error: Any) -> Any:
    """Of alternatives that all fail, the error of the one that was meant: it came further into the value."""
    while branches := getattr(error.kind, "context", None):
        deepest = [max(branch, key=lambda cause: len(cause.instance_path)) for branch in branches if branch]
        further = [cause for cause in deepest if len(cause.instance_path) > len(error.instance_path)]
        not_null = [branch for branch in branches if branch and not _is_null_branch(branch)]
        if len(further) == 1:
            error = further[0]
        elif len(not_null) == 1 and not further:
            error = not_null[0][0]
        else:
            break
    return error


def _is_null_branch(branch: list[Any]) -> bool:
    kind = branch[0].kind.as_dict()
    return len(branch) == 1 and kind in ({"types": ["null"]}, {"options": [None]})


def _message(error: Any) -> str:
    branches = getattr(error.kind, "context", None)
    if branches and isinstance(error.kind, (KINDS.AnyOf, KINDS.OneOfNotValid)):
        causes = [_cut(branch[0].message) for branch in branches[:BRANCHES_SHOWN] if branch]
        left = len(branches) - len(causes)
        return "It fits none of the alternatives: " + "; ".join(causes) + (f"; and {left} more" if left else "")
    return _cut(error.message)


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_MAX_CHARACTERS else f"{text[:HEAD_CHARACTERS]} … {text[-TAIL_CHARACTERS:]}"


def _pointer(path: list[Any]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _is_uuid(text: str) -> bool:
    return UUID.fullmatch(text) is not None


def _is_anything(text: str) -> bool:
    return True  # `time` wants an offset, which hardly anybody means by it


def _retrieve_nothing(address: str) -> Any:
    raise LookupError(f"{address} is not fetched")


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return stream.read(length)


def _write(answer: dict[str, Any]) -> None:
    content = json.dumps(answer).encode()
    sys.stdout.buffer.write(LENGTH.pack(len(content)) + content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
