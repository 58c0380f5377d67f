"""Goals to answers: the strategies that put planning, engine and models together.

react      the baseline: one tool call a turn, everything that was seen in the prompt
compare    the same goal by several strategies, side by side
"""
