"""The AWS deployment behind `legibly cloud`: plan, package, deploy, look after, remove."""
