"""The running scan: pool of evaluators, learner, loop, driver actor. The only place that imports ray."""

import logging

# In a notebook Ray advises, when it is imported, to install widgets for a view of its own.
logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
