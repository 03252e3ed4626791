"""The archiver: reads ended runs into the archive, and deletes runs only after their commit.

``run_archive`` reads one run and commits what ``run_content`` of the domain says is kept of it. ``content_loop`` does so as runs end,
``pruner`` by the retention of runs, ``run_deletion`` and ``instance_deletions`` for callers. Nothing here writes to Kubernetes but
deletions, and cancellations that a caller asked for.
"""
