"""The commands of `python -m training`, one module each: options of the command line to settings, and nothing else."""
