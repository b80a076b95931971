"""Kills parts of a real instance at every step of a job's life and looks at what became of the jobs.

`python -m tests.chaos --runs 1000 --seed 1`. What it promises and what came of it: docs/reliability.md.
"""
