"""Goals to answers: the strategies that put planning, engine and models together.

agent      what callers use: `Agent`                     session    one goal: plan, run, answer, in rounds
rounds     the plans of one goal, run one after another  settings   what an agent is, what one goal is given
people     approvals and questions                       answering  the answer in the type that is wanted
subagent, nesting    an agent as a tool of another: its budget, and how deep
react      the baseline: one tool call a turn, everything that was seen in the prompt
compare    the same goal by several strategies, side by side
"""
