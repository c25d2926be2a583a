"""Which variant of a bundle is the fastest on this host that is still right: measuring, choosing, showing."""
