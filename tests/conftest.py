"""What holds for all tests: drawn examples are the same each time, and a busy machine decides none of them."""

import gc

from hypothesis import settings

settings.register_profile("planloom", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("planloom")


def pytest_collection_finish() -> None:
    """The thousands of tests that were found stay to the end: collecting garbage need not walk them each time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """What was set aside can be collected again, so that libraries see their objects go."""
    gc.unfreeze()
