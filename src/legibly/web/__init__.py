"""The web application: turns HTTP requests into calls of the service."""
