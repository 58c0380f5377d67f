"""Where does plan-and-execute win, and where does it lose? Against ReAct, rounds of parallel calls, and the compiler.

`python -m bench.strategies` runs the grid and writes bench/results/strategies.json, in about three minutes; with
`--paper` it prints the shapes of the LLMCompiler paper instead, which `python -m bench` bounds.

    goals.py        what is to be reached: independent calls, chains, failures; what a model writes for it
    parallel.py     the baseline that no product strategy is: rounds of parallel calls
    cells.py        one goal, one speed of model and tool, every strategy: in virtual time, and over HTTP
    grid.py         the whole grid, and the sample over HTTP that it is checked against
    verdicts.py     from the results: where it loses, and by how much; report.py words, tables and plots of it
    paper.py        the shapes of the paper, in virtual time; paper_shapes.py what is written for them
"""

from bench.strategies.paper import rows

__all__ = ["rows"]
