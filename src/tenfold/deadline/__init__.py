"""How long may an answer take? (Question 6.) A request that cannot be answered in time is refused at once.

A queue without a bound gives no good answer as soon as more arrives than can be answered; a queue bounded in
rows is right for one model and wrong for the next. This one is bounded in time: ``admit`` asks whether these
rows can still be answered before their deadline, behind those that wait already. ``Cost`` is what it knows of
the model's speed.
"""

from tenfold.deadline.admission import SOONEST_RETRY_S as SOONEST_RETRY_S
from tenfold.deadline.admission import Admit as Admit
from tenfold.deadline.admission import Queue as Queue
from tenfold.deadline.admission import Refuse as Refuse
from tenfold.deadline.admission import admit as admit
from tenfold.deadline.behind import Behind as Behind
from tenfold.deadline.cost import Cost as Cost
from tenfold.deadline.cost import Costs as Costs
from tenfold.deadline.option import Deadline as Deadline
from tenfold.deadline.option import allowed_s as allowed_s
from tenfold.deadline.option import is_background as is_background
