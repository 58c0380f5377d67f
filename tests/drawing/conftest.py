"""Lets the tests of this folder share `drawing_cases`: under importlib mode pytest adds no folder to the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
