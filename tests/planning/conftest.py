"""The tools that the plans of this folder call, and what hypothesis draws plans from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
