"""The web side: HTTP in, calls of the service, HTTP out."""
