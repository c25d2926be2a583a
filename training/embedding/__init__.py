"""Training of sentence encoders: texts that belong together end up near one another."""
