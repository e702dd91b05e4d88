"""Accounts, classes, OpenID sessions, and the audit log."""
