"""How a version is computed: devices, sessions, layouts, and the choice among them by measurement."""
