"""The AWS deployment behind `legibly cloud`: plan, package, deploy, maintain, remove."""
