"""Commands, one module each: imported when the command runs, because --help must be quick."""
