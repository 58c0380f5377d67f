"""The same graphs, run by Planloom and by what a user would pick instead: `python -m bench.peers`, `make bench-peers`.

Every contender runs in an environment and a process of its own, one at a time, in turns; every value is checked.

    graphs.py       the graphs and what their steps take; what each value has to be
    contenders.py   who takes part, in which environment, at what
    protocol.py     what a contender's process imports (standard library alone): reads requests, measures, answers
    runners/        one file per contender, as a competent user of that library would write it
    install.py      environments from pinned requirements
    processes.py    contenders' processes: started, asked, ended
    harness.py      who is asked what, when; results.py makes medians and paired ratios of it
    pages.py        tables for a terminal and in Markdown; svg.py draws; results stand in bench/results/peers.json
"""
