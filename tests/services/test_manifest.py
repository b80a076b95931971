import json

import pytest

from services import manifest

BOUNDS = {"cpu_millis": (100, 2000), "memory_mib": (64, 8192)}


def read(**found):
    return manifest.read(json.dumps(found), file="planqk.json")


def test_what_a_project_says_of_itself():
    found = read(
        name="My service",
        description="Adds up.",
        runtime="PYTHON_TEMPLATE",
        resources={"cpu": 0.5, "memory": 4},
        serviceId="x",
    )
    assert (found.name, found.description, found.runtime) == ("My service", "Adds up.", "python")
    assert (found.cpu_millis, found.memory_mib, found.notes) == (500, 4096, [])
    assert manifest.within(found, **BOUNDS) == {"cpu_millis": 500, "memory_mib": 4096}
    assert read(runtime="DOCKER").runtime == "docker"


def test_what_is_not_possible_here_is_brought_within():
    found = read(resources={"cpu": 20, "memory": 0.01})
    taken = manifest.within(found, **BOUNDS)
    assert taken == {"cpu_millis": 2000, "memory_mib": 64}
    words = {"cpu_millis": "{} m".format, "memory_mib": "{} MiB".format}
    (note,) = manifest.note(found, taken, words)
    assert "2000 m and 64 MiB are taken from it (it asks for 20000 m and 10 MiB" in note
    assert manifest.note(found, {}, words) == []


@pytest.mark.parametrize("text", ["", "{}", '{"resources": null}', '{"resources": [1], "name": 5}'])
def test_nothing_is_asked_for(text):
    found = manifest.read(text, file="planqk.json")
    assert (found.name, found.notes, manifest.within(found, **BOUNDS)) == ("", [], {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "not valid JSON"),
        ('{"resources": {"cpu": "many"}}', "resources.cpu"),
        ('{"resources": {"memory": true}}', "resources.memory"),
        ('{"resources": {"cpu": -1}}', "resources.cpu"),
        ('{"resources": {"cpu": NaN}}', "resources.cpu"),
        ('{"resources": {"gpu": {"type": "NVIDIA_TESLA_T4", "count": 1}}}', "GPU"),
        ('{"runtime": "COBOL"}', "runtime"),
        ('{"runtime": {}}', "runtime"),
    ],
)
def test_what_means_nothing_is_left_out_and_said(text, words):
    found = manifest.read(text, file="planqk.json")
    assert words in found.notes[0]
    assert manifest.within(found, **BOUNDS) == {}
