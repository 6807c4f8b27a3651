"""What podshare costs, in calls and in time, compared with budgets: ``make bench``, ``python -m benchmarks --help``.

Every figure is a count, or a ratio to something that is measured beside it in the same run, so that it says the same on
every machine. ``figures`` names them all with their budgets; ``docs/benchmarks.md`` is what came of the last run.
"""
