"""Resources in words."""

import pytest

from services.templatetags import resources


@pytest.mark.parametrize(
    ("filter_", "value", "words"),
    [
        (resources.vcpus, 1000, "1 vCPU"),
        (resources.vcpus, 250, "0.25 vCPU"),
        (resources.memory, 512, "512 MiB"),
        (resources.memory, 1024, "1 GiB"),
        (resources.memory, 1536, "1.5 GiB"),
        (resources.memory, 1500, "1,500 MiB"),
        (resources.time_limit, 60, "1 minute"),
        (resources.time_limit, 5400, "90 minutes"),
        (resources.build_label, "RUNNING", "Building"),
        (resources.is_building, "QUEUED", True),
        (resources.is_building, None, False),
    ],
)
def test_words(filter_, value, words):
    assert filter_(value) == words
