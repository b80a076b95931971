"""The small program that runs inside the sandbox and calls run(). Standard library only, Python 3.8 and newer.

It shares its process with the user's code, so nothing that it says is proof: the host checks its report and knows the
rest by itself. Whatever it imports, a job waits for: what only a failure needs is imported when that happens.
"""
