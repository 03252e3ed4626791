"""The archive: runs, their contents and the audit in SQL, on SQLite or PostgreSQL. Knows no route, no Kubernetes and no process.

Only this package imports SQLAlchemy. Queries know no dialect; what has to differ is in ``dialects``.
"""
