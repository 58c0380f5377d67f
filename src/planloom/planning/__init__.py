"""Planning: what models write becomes a plan, and a plan that is nearly right becomes right.

text         a whole reply -> Plan, with every change listed      passages   JSON between prose and fences
drafts       which JSON of a reply is the plan
stream       the same, step by step while it arrives              locating   which list holds the steps
mechanical   mends that need no model                             steps      fields, ids, dependencies, references
strict, relaxed, relaxed_tokens, repair: three readers of JSON, from the strictest to the one that guesses
step_fields, naming, reference_styles: what models call things    counting   steps counted from the wrong number
leftovers, mends, renaming: what is not in the plan; what was changed; other ids in references
"""

from planloom.planning.mechanical import mend_mechanically
from planloom.planning.mends import Mend
from planloom.planning.stream import Arrived, StreamReader
from planloom.planning.text import PlanText, read_plan_text

__all__ = ["Arrived", "Mend", "PlanText", "StreamReader", "mend_mechanically", "read_plan_text"]
