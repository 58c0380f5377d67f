"""One file per contender; each runs as `python -m bench.peers.runners.NAME` in that contender's own environment."""
