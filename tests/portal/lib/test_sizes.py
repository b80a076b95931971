"""Bytes in words."""

import pytest

from portal.lib.sizes import in_words, limit_in_words

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (12_000, "11.7 KiB"),
        (400_000, "391 KiB"),
        (MIB - 1, "1 MiB"),
        (50 * MIB, "50 MiB"),
        (20 * GIB, "20 GiB"),
        (1500 * GIB, "1,500 GiB"),
        (123_456 * GIB, "123,456 GiB"),
    ],
)
def test_what_was_measured_is_rounded(size, words):
    assert in_words(size) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (512 * MIB, "512 MiB"),
        (1536 * MIB, "1.5 GiB"),
        (1152 * MIB, "1.125 GiB"),
        (1500 * MIB, "1,500 MiB"),
        (20 * GIB, "20 GiB"),
        (12_345_678 * GIB, "12,345,678 GiB"),
        (1_000_000, "1,000,000 bytes"),
    ],
)
def test_what_was_set_is_exact(size, words):
    assert limit_in_words(size) == words
