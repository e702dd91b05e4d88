"""Authenticates requests, and checks permissions and limits."""
