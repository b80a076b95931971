"""What holds for every template and every script: the content security policy, landmarks, and parts that exist."""

import gzip
import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template import TemplateSyntaxError
from django.template.loader import get_template

ROOT = settings.BASE_DIR
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
SCRIPTS_MAX_BYTES = 60 * 1024
EDITORS = {"api_editor.js", "json_editor.js", "schema_form.js"}
MAILS = {"email"}  # folders of mails, which have no policy of their own

every_template = pytest.mark.parametrize(
    "path",
    [path for path in TEMPLATES if path.parent.name not in MAILS],
    ids=lambda path: str(path.relative_to(ROOT / "templates")),
)


def markup(path: Path) -> str:
    """The text without template comments."""
    return re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", path.read_text(), flags=re.DOTALL)


@every_template
def test_it_compiles(path):
    try:
        get_template(str(path.relative_to(ROOT / "templates")))
    except TemplateSyntaxError as error:
        pytest.fail(str(error))


@every_template
def test_it_has_nothing_inline(path):
    text = markup(path)
    assert not re.search(r"<style\b|\sstyle=", text), "styles belong into static/css/components"
    assert not re.search(r"\s(on[a-z]+|hx-on[\w:-]*)=", text), "events belong into static/js"
    assert "javascript:" not in text
    for tag, body in re.findall(r"<script\b([^>]*)>(.*?)</script>", text, flags=re.DOTALL):
        if 'type="application/json"' in tag:  # data: no browser runs it
            continue
        assert not body.strip(), "scripts belong into static/js"
        assert "nonce=" in tag, "a script without a nonce is not run"


@every_template
def test_its_icons_exist(path):
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))
    text = markup(path)
    used = re.findall(r'icon\.html" with name="([^"]+)"', text) + re.findall(r'empty\.html" with icon="([^"]+)"', text)
    assert not set(used) - sprite


@every_template
def test_its_links_remain_under_htmx(path):
    """A link or form that htmx makes act works without it."""
    acting = r"<(?:a|form)\b[^>]*\shx-(?:get|post|put|delete)=[^>]*>"
    for tag in re.findall(acting, markup(path), flags=re.DOTALL):
        assert {"a": "href=", "form": "action="}[tag[1:].split()[0]] in tag, tag


def test_pages_have_one_h1():
    for path in TEMPLATES:
        text = markup(path)
        if path.parent.name in MAILS or "{% extends" not in text or "layouts" in path.parts:
            continue
        branches = len(re.findall(r"\{% (?:if|elif|else)\b", text))
        assert text.count("<h1") <= 1 + branches, path


def test_scripts_are_small():
    htmx = (ROOT / "static" / "vendor" / "htmx.min.js").read_bytes()
    ours = b"".join(path.read_bytes() for path in SCRIPTS if path.name not in EDITORS)
    assert len(gzip.compress(htmx)) + len(gzip.compress(ours)) <= SCRIPTS_MAX_BYTES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_need_no_eval_and_no_inline_style(path):
    text = path.read_text()
    assert not re.search(r"\beval\(|new Function\(|insertAdjacentHTML|\.innerHTML\s*=|document\.write\(", text)
    assert "cssText" not in text
    assert 'setAttribute("style"' not in text


def test_vendored_files_are_what_their_readme_says():
    readme = (ROOT / "static" / "vendor" / "README.md").read_text()
    for name, digest in re.findall(r"\| `([\w./]+\.js)` .*`([0-9a-f]{64})`", readme):
        assert hashlib.sha256((ROOT / "static" / "vendor" / name).read_bytes()).hexdigest() == digest
