"""The web application: HTTP requests to calls of the service."""
