"""The console's pages: HTML over the same parts, rights and audit as the routes of /api/v1 (decision 0079).

A module with a ``router`` has the views of one page; ``page_table`` lists those modules, and the right that each page takes.
``rendering.render`` makes HTML of a template. Templates are in ``templates``, one macro file per component below
``templates/components``; styles, modules of scripts and vendored libraries are in ``static``.
"""
