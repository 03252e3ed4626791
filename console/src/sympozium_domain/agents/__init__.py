"""Agents of the dialects: SympoziumInstances with an id, an owner and published versions. Knows no route and no error shape."""
