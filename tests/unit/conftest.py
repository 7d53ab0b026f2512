"""What several unit tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def uncompiled() -> Iterator[None]:
    """Leave quantisers uncompiled: compiling takes longer than all that tests of small networks compute."""
    from codesign.quant import fused

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "LEAST", 1 << 60)
        yield
