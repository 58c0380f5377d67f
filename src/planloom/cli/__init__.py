"""The command line `planloom`: a thin shell around the engine. Data goes to stdout, words for people to stderr.

    main       the way in and the only way out: signals, errors, exit codes
    commands   the group: what there is, loaded when it is asked for
    options    options that commands share          settings   planloom.toml and PLANLOOM_… variables
    sources    plans and tools that the user names  terminal   the two streams, and who may write to them
    text       untrusted text made fit to print     documents  JSON on stdout
    model_options  which models a command asks      everyday   the tools for goals when none are named
    driver     one run: its loop, its signals, and a sure end
    ledger     one run as its events tell it        live, lines   that, shown as it happens
    progress   what models do for a goal as a whole  streams     stdout while a run goes on
    goals      what is given for a goal             people    who is asked at this terminal
    journals   which journal a command means        keeping   a run that is kept, and how to go on with it
    kept_runs  the command `runs`                   attempts  every attempt of a kept run, and their bars
    planned, compared, findings, asking   what `plan`, `compare` and `analyse` do
    run, plan, compile, compare, analyse, doctor, execute, resume, show, graph, tools, validate   one file per command

Rule: whatever a plan, a tool or a file does, a command ends with one of the documented exit codes, and never
with a traceback. No other package may import this one.
"""
