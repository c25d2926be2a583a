"""Which versions are loaded, and who answers a call: the registry says, a reconciler follows."""
