"""Alembic's folder: ``env`` and one module per version of the schema. A migration that was released never changes."""
