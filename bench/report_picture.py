"""Make docs/report-planes.png: the report of a sample with a wrong dose, without an engine.

python bench/report_picture.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from base64 import b64decode
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402 - comes with matplotlib
from tests.judged import judged  # noqa: E402 - the tests are beside us


def main() -> None:
    """Judge the sample, draw its report, and keep the first picture of planes."""
    with tempfile.TemporaryDirectory() as folder:
        html, _pdf = judged(Path(folder), "range-error", "standard").report(gamma=[])
    pictures = re.findall(r'alt="Planes through[^"]*" src="data:image/png;base64,([^"]*)"', html)
    image = Image.open(BytesIO(b64decode(pictures[0]))).convert("RGB")
    small = image.resize((image.width * 2 // 3, image.height * 2 // 3))
    small.quantize(64).save(ROOT / "docs" / "report-planes.png", optimize=True)


if __name__ == "__main__":
    main()
