"""Accounts, classes, sessions of an OpenID provider, and what was done."""
