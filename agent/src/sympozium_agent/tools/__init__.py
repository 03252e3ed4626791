"""Tools that the agent calls itself, imported only for a run that has some. A tool knows no provider and no transport of the model.

``tool.Tool`` is what each implements. Several calls of one answer run side by side in ``waiting.Background`` each, in one scope.
"""
