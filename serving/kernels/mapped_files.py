"""Files that a library has mapped into this process's memory."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

MAPS = Path("/proc/self/maps")


def forget_mapped(file: Path) -> int:
    """Gives back the memory of a file's pages that were only read and are no longer needed; whoever
    reads them again gets them from the file. Returns the bytes of its mappings.
    """
    libc, name, num_bytes = ctypes.CDLL(None), str(file.resolve()), 0
    for line in MAPS.read_text(errors="surrogateescape").splitlines():
        span, _, _, _, _, *path = line.split(maxsplit=5)
        if path != [name]:
            continue
        start, end = (int(address, 16) for address in span.split("-"))
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)
        num_bytes += end - start
    return num_bytes
