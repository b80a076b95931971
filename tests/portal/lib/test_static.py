"""The one style sheet."""

import re

import pytest
from django.contrib.staticfiles.finders import get_finders
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage

from portal.lib.static import ENTRY, BundledStaticFilesStorage, bundle, read


def collected(**files):
    storage = InMemoryStorage()
    for name, text in files.items():
        storage.save(name, ContentFile(text.encode()))
    return {name: (storage, name) for name in files}


def ours():
    return {path: (storage, path) for finder in get_finders() for path, storage in finder.list([])}


def test_every_import_stands_in_its_layer():
    paths = collected(
        **{
            ENTRY: "@layer base, components;\n"
            '@import url("base.css") layer(base);\n'
            '@import url("components/x.css") layer(components);\n',
            "css/base.css": "a { color: red; }\n",
            "css/components/x.css": ".x { color: blue; }\n",
        }
    )
    assert bundle(paths).decode() == (
        "@layer base, components;\n@layer base {\na { color: red; }\n}\n@layer components {\n.x { color: blue; }\n}\n"
    )


def test_an_address_that_would_point_elsewhere_is_refused():
    paths = collected(
        **{ENTRY: '@import url("components/x.css") layer(a);\n', "css/components/x.css": "a { background: url(y.png) }"}
    )
    with pytest.raises(ValueError, match=r"components/x\.css"):
        bundle(paths)


def test_our_own_style_sheet_collects_twice(tmp_path):
    storage = BundledStaticFilesStorage(location=tmp_path, base_url="/static/")
    for _ in range(2):
        paths = {name: found for name, found in ours().items() if not name.startswith("admin/")}
        for name, (source, path) in paths.items():
            if not storage.exists(name):
                with source.open(path) as file:
                    storage.save(name, file)
        assert not [outcome for *_, outcome in storage.post_process(paths) if isinstance(outcome, Exception)]
    text = (tmp_path / storage.stored_name(ENTRY)).read_text()
    assert "@import" not in text
    assert text.count("{") == text.count("}")
    for address in re.findall(r'url\("?([^")]+)', text):
        assert (tmp_path / "css" / address).resolve().is_file(), address


def test_every_part_is_imported():
    paths = ours()
    entry = read(paths, ENTRY)
    parts = {name.removeprefix("css/") for name in paths if name.startswith("css/") and name != ENTRY}
    assert parts == set(re.findall(r'@import url\("([^"]+)"\)', entry))
