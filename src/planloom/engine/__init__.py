"""The shell that acts: the only place that starts tasks, threads and processes.

    execute.py    what callers use: `execute_plan`, `stream_plan`
    run.py        one run, from its first event to its result; settings.py: how it goes, whatever its plan
    stepping.py   from step to step: asks the pure schedule what to start, starts it, tells it what ended
    deciding.py, verdict.py    what a step comes to before its call, and after it
    running_plan.py, replans.py, reuse.py    a plan that changes while it runs, and what is kept then
    waits.py      steps that wait for a person
    durability.py, recorder.py    what waits for the journal, and the journal as the run sees it
    journaled.py, kept.py    a run in a journal: begun, taken over; and runs listed, read back, removed
    encoding.py   outputs as a journal holds them
    ledger.py     the books of a run: every step's record, its end, who is told
    slots.py      how many calls may run at once
    outcome.py    what a whole run amounts to: its status, its answer, a `for_each` from its elements
    ending.py     the end of a run: reached once, awaited once
    attempt.py    what a run keeps of a step and of a call
    calls.py      calls of tools, wherever they run: made, timed, brought to an end
    tables.py     tables of pandas, polars and Arrow at the border of a call: read, kept
    context.py    what a tool sees of its run
    threads.py, processes.py, worker.py    where sync tools run
    timers.py     every deadline and back-off of a run behind one timer of the loop
    failures.py   what an exception means: the step's error, and whether another try can help
    emitter.py    events to listeners that may fail
    watchdog.py   says when an async tool blocks the loop
    orphans.py    tasks that ignore their cancellation

No model is ever called here.
"""
