"""Pure builders of the objects that should exist. A parsed object and a few values go in, a fresh dict comes out."""
