"""Values of a chunk as bytes, every bit kept: NaN payloads, staleness, absence, minus zero.

A group is the values of a few columns over the rows of one chunk, column after column, in pcodec's standalone form.
"""

import numpy as np
import pcodec
import pcodec.standalone as pco

from watchkeeper.model.frame import Floats

GROUP_COLUMNS = 32
_CONFIG = pcodec.ChunkConfig(compression_level=8)


def encode(values: Floats) -> bytes:
    """Pack float64[columns, rows]."""
    return bytes(pco.simple_compress(np.ascontiguousarray(values).reshape(-1), _CONFIG))


def decode(data: bytes, columns: int, rows: int) -> Floats:
    """Unpack what `encode` packed, float64[columns, rows]."""
    out = np.empty(columns * rows, np.float64)
    pco.simple_decompress_into(data, out)
    return out.reshape(columns, rows)
