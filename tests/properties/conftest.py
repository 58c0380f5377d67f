"""Lets the tests of this folder share their helpers: under importlib mode pytest adds no folder to the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
