"""IDX files."""

import numpy as np
import pytest

from spaceform.data.layouts.benchmarks.idx import parse_idx
from spaceform.errors import InputError


@pytest.mark.parametrize("code", [0x08, 0x0B, 0x0D])
def test_idx_files_come_back_as_they_were(code):
    kind = {0x08: ">u1", 0x0B: ">i2", 0x0D: ">f4"}[code]
    values = np.arange(12).reshape(3, 2, 2).astype(kind)
    content = bytes([0, 0, code, 3]) + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes()
    np.testing.assert_array_equal(parse_idx(content, "a"), values)
    assert parse_idx(content, "a").dtype.isnative
    for wrong in (
        b"",
        content[:9],
        content[:-1],
        content + b"x",
        b"\1" + content[1:],
        content[:2] + b"\7" + content[3:],
    ):
        with pytest.raises(InputError, match="a: got"):
            parse_idx(wrong, "a")
