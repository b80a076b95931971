"""Writes a picture as PNG with the standard library alone."""

import struct
import zlib
from pathlib import Path

import numpy as np


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write ``picture``: height × width × 3 bytes, red, green, blue."""
    height, width, _ = picture.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, true colour
    unfiltered = np.zeros((height, 1), np.uint8)  # each line begins with the number of its filter
    lines = np.hstack([unfiltered, picture.astype(np.uint8).reshape(height, width * 3)])
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))
