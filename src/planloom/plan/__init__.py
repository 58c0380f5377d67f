"""The pure core: plans, references, graph, issues, validation, run state, events, schedule.

Nothing in here knows asyncio, files, sockets or a clock. It decides; `planloom.engine` acts.
"""
