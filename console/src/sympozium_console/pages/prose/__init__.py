"""Text of models and users as HTML that runs nothing and fetches nothing. Nothing of a text reaches a page on another way."""
