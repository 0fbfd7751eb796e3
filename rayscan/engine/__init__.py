"""The running scan: pool of evaluators, learner, loop, driver actor. The only place that imports ray."""
