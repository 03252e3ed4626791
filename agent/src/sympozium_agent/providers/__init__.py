"""Model providers: each speaks one dialect."""
