"""Results, and the files beside them."""

import json
import sys

import pytest

from tests.portal.api.managed.conftest import left


def test_the_keys_of_the_user_are_on_top(caller):
    job = caller.ended(b' {"sum": 1.50, "n": 123456789012345678901234567890}\n')
    left(job, "hello.jpg", b"...", content_type="image/jpeg")
    left(job, "my folder/r\u00e4ume 100%.txt", b"...")
    answer = caller.get(f"/{job.pk}/result")
    here = f"{caller.url}/{job.pk}"
    assert answer["Content-Type"] == "application/json"
    assert answer.body.startswith(b'{"sum": 1.50, "n": 123456789012345678901234567890,')
    assert answer.json() == {
        "sum": 1.5,
        "n": 123456789012345678901234567890,
        "_embedded": {"status": caller.get(f"/{job.pk}").json()},
        "_links": {
            "self": {"href": f"{here}/result"},
            "status": {"href": here},
            "hello.jpg": {"href": f"{here}/result/hello.jpg"},
            "my folder/r\u00e4ume 100%.txt": {"href": f"{here}/result/my%20folder/r%C3%A4ume%20100%25.txt"},
            "output.json": {"href": f"{here}/result/output.json"},
        },
    }


@pytest.mark.parametrize("value", [[1, 2], "text", 1.5, True, None, []])
def test_what_is_no_object_is_wrapped(caller, value):
    job = caller.ended(json.dumps(value).encode())
    result = caller.get(f"/{job.pk}/result").json()
    assert result.pop("result") == value
    assert set(result) == {"_embedded", "_links"}
    assert json.loads(caller.get(f"/{job.pk}/result/output.json").body) == value


def test_our_names_are_ours(caller):
    job = caller.ended(b'{"_links": 1, "a": 12345678901234567890123, "_embedded": {"x": 1}}')
    result = caller.get(f"/{job.pk}/result").json()
    assert result["a"] == 12345678901234567890123
    assert result["_embedded"]["status"]["id"] == str(job.pk)
    assert result["_links"]["output.json"]


def test_code_that_returned_nothing(caller):
    assert set(caller.get(f"/{caller.ended().pk}/result").json()) == {"_embedded", "_links"}


def test_files_of_our_names_keep_their_content_and_have_no_link(caller):
    job = caller.ended()
    left(job, "status", b"mine")
    links = caller.get(f"/{job.pk}/result").json()["_links"]
    assert links["status"]["href"] == f"{caller.url}/{job.pk}"
    assert caller.get(f"/{job.pk}/result/status").body == b"mine"


@pytest.mark.parametrize(("status", "shown"), [("QUEUED", "PENDING"), ("STARTING", "PENDING"), ("RUNNING", "RUNNING")])
def test_there_is_no_result_yet(caller, status, shown):
    job = caller.job(status=status)
    for path in ("result", "result/output.json"):
        answer = caller.get(f"/{job.pk}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_result_yet")
        assert answer.json()["execution_status"] == shown
        assert int(answer["Retry-After"]) > 0


def test_a_failed_one_tells_why(caller):
    error = {"type": "ValueError", "message": "no values", "frames": ["secret of the provider"]}
    job = caller.job(status="FAILED", reason="error", detail="Your code raised ValueError: no values", error=error)
    left(job, "partial.csv", b"1,2")
    answer = caller.get(f"/{job.pk}/result")
    result = answer.json()
    assert answer.status_code == 200
    assert {name: result[name] for name in ("type", "title", "status", "detail", "instance", "code", "error")} == {
        "type": "/docs/errors/#error",
        "title": "The code raised an error",
        "status": 500,
        "detail": "Your code raised ValueError: no values",
        "instance": f"{caller.path}/{job.pk}/result",
        "code": "error",
        "error": {"type": "ValueError", "message": "no values"},
    }
    assert result["_embedded"]["status"]["status"] == "FAILED"
    assert "partial.csv" in result["_links"]


def test_a_cancelled_one_answers_like_a_failed_one(caller):
    result = caller.get(f"/{caller.job(status='CANCELLED').pk}/result").json()
    assert (result["code"], bool(result["detail"])) == ("cancelled", True)
    assert result["_embedded"]["status"]["status"] == "CANCELLED"


def test_a_result_that_storage_lost(caller):
    job = caller.ended()
    row = left(job, "output.json", b"1")
    row.key = "gone"
    row.save()
    for path in ("result", "result/output.json"):
        assert caller.get(f"/{job.pk}/{path}").status_code == 404


def test_the_old_dialect(caller):
    old = caller.at("0.1.0", publication="marketplace", dialect="legacy")
    assert old.get(f"/{old.ended(b'[1, 2.0]').pk}/result").body == b'{"result":[1, 2.0],"metadata":null}'
    assert old.get(f"/{old.ended().pk}/result").json() == {"metadata": None, "result": None}
    failed = old.job(status="FAILED", reason="timeout", detail="It ran too long.")
    assert old.get(f"/{failed.pk}/result").json() == {"code": "timeout", "detail": "It ran too long."}
    assert old.get(f"/{old.job().pk}/result").status_code == 404


# Files


@pytest.mark.parametrize("name", ["a b.txt", "sub/dir.txt", "räume/ö 100%.bin", "x?y#z", "+&=", "日本.txt"])
def test_files_of_any_name(caller, name):
    job = caller.ended()
    left(job, name, b"content", content_type="text/plain")
    href = caller.get(f"/{job.pk}/result").json()["_links"][name]["href"]
    answer = caller.get(href.removeprefix(caller.url))
    assert (answer.status_code, answer.body) == (200, b"content")
    assert answer["Content-Length"] == "7"
    assert answer["Content-Disposition"].startswith("attachment; filename")


def test_a_file_is_a_download_whatever_it_is(caller):
    job = caller.ended()
    left(job, "page.html", b"<script>alert(1)</script>", content_type="text/html")
    answer = caller.get(f"/{job.pk}/result/page.html/")
    assert answer["Content-Type"] == "text/html"
    assert answer["Content-Disposition"] == 'attachment; filename="page.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "script-src" not in answer["Content-Security-Policy"]


def test_a_type_that_nobody_knows(caller):
    job = caller.ended()
    left(job, "x", b"...", content_type="")
    assert caller.get(f"/{job.pk}/result/x")["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("asked", "status", "sent", "told"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        (f"bytes=8-{2**64 - 1}", 206, b"89", "bytes 8-9/10"),
        (f"bytes=-{2**64 - 1}", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=4-2", 416, None, "bytes */10"),
        ("bytes=x", 416, None, "bytes */10"),
        ("bytes=" + "9" * 5000 + "-", 416, None, "bytes */10"),
    ],
)
def test_ranges(caller, asked, status, sent, told):
    job = caller.ended()
    left(job, "x", b"0123456789")
    answer = caller.get(f"/{job.pk}/result/x", Range=asked)
    assert (answer.status_code, answer.get("Content-Range")) == (status, told)
    if sent is None:
        assert answer.json()["code"] == "range_not_satisfiable"
    else:
        assert answer.body == sent
        assert answer["Content-Length"] == str(len(sent))
        assert answer["Accept-Ranges"] == "bytes"


def test_a_range_on_a_condition_gets_the_whole(caller):
    job = caller.ended()
    left(job, "x", b"0123456789")
    answer = caller.get(f"/{job.pk}/result/x", Range="bytes=1-2", If_Range='"x"')
    assert (answer.status_code, answer.body) == (200, b"0123456789")


def test_an_empty_file(caller):
    job = caller.ended()
    left(job, "empty", b"")
    assert caller.get(f"/{job.pk}/result/empty").body == b""
    assert caller.get(f"/{job.pk}/result/empty", Range="bytes=0-")["Content-Range"] == "bytes */0"


def test_the_head_of_a_file(caller):
    job = caller.ended()
    left(job, "x", b"0123456789")
    answer = caller.call("HEAD", f"/{job.pk}/result/x", Range="bytes=1-2")
    assert (answer.status_code, answer.body, answer["Content-Length"]) == (200, b"", "10")


@pytest.mark.parametrize("name", ["no.txt", "../secret_key", "%2e%2e/secret_key", "/x", "a//b", "output.json/x"])
def test_a_file_that_is_not_there(caller, name):
    answer = caller.get(f"/{caller.ended(b'1').pk}/result/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_large_result_is_passed_on_as_it_is(caller, monkeypatch):
    monkeypatch.setattr(sys.modules["portal.api.managed.documents"], "PARSED_MAX_BYTES", 10)
    job = caller.ended(b'{"a": [1, 2, 3, 4]}  \n')
    answer = caller.get(f"/{job.pk}/result")
    assert answer.streaming
    assert json.loads(answer.body)["a"] == [1, 2, 3, 4]
    assert json.loads(answer.body)["_links"]
