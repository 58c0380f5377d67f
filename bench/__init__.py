"""Benchmarks: one file per question, each a ratio against a floor measured in the same run.

`python -m bench` from the root of the repository prints the table. Nothing here is part of the package.
"""
