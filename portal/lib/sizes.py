"""Bytes in words, the same on every page and in every message. static/js/sizes.js says what is measured the same."""

UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
EIGHTHS = 8  # 1.125 GiB is still read easily, 1.46484375 GiB is not


def in_words(size: int) -> str:
    """What was measured, rounded: `0 bytes`, `482 bytes`, `11.7 KiB`, `50 MiB`, `1.5 GiB`."""
    for unit, factor in UNITS:
        if size < factor - factor // 2048:  # so that nothing is rounded to 1,024 of the smaller unit
            continue
        number = round(size / factor, 1 if size < 100 * factor else 0)
        return f"{number:,g} {unit}"
    return f"{size} byte{'' if size == 1 else 's'}"


def limit_in_words(size: int) -> str:
    """What was set, exactly: `512 MiB`, `1.5 GiB`, `1,500 MiB`, `1,000,000 bytes`."""
    for unit, factor in UNITS:
        if size >= factor and size * EIGHTHS % factor == 0:
            return f"{size / factor:,.10g} {unit}"
    return f"{size:,} byte{'' if size == 1 else 's'}"
