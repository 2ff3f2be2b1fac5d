"""Makes the published SDKs importable that ``make .seeds/...`` put into folders of their own."""

import sys
from pathlib import Path

SEEDS = Path(__file__).parent.parent / ".seeds"
PUBLISHED = "liveavatar-0.2.2", "akool-0.1.8"

for name in PUBLISHED:
    if not (SEEDS / name).is_dir():
        sys.exit(f"A published SDK is missing: make .seeds/{name}")
    sys.path.insert(0, str(SEEDS / name))
