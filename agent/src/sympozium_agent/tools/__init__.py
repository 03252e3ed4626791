"""Tools that the agent calls itself. None stands yet; each will be a module of its own here, imported by its name when a
run may call it. A tool knows no run, no provider and no transport of the model.

``tool.Tool`` is what each implements. Several calls of one answer run side by side in ``waiting.Background`` each, in one scope.
"""
