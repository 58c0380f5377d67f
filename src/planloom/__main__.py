"""`python -m planloom`: the same as the command `planloom`."""

from __future__ import annotations

from planloom.cli.main import main

if __name__ == "__main__":
    main()
