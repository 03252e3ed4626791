"""Generators of what is derived from the typed models: CustomResourceDefinitions and their reference pages. Imported by nobody."""
