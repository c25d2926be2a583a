"""The one typed way for a program to call Bertline's services."""
