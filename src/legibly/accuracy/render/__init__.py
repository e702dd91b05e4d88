"""The accuracy report as charts, HTML and text."""
