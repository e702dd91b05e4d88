"""Accounts, classrooms, OpenID sign-in, and the audit log."""
