"""The shell that acts: the only place that starts tasks, threads and processes.

    execute.py    what callers use: `execute_plan`, `stream_plan`
    run.py        one run: asks the pure schedule what to start, starts it, tells it what ended
    attempt.py    one call of a tool, and how it is brought to an end
    threads.py, processes.py    where sync tools run
    timers.py     every deadline and back-off of a run behind one timer of the loop
    failures.py   what an exception means: the step's error, and whether another try can help
    emitter.py    events to listeners that may fail
    watchdog.py   says when an async tool blocks the loop

No model is ever called here.
"""
