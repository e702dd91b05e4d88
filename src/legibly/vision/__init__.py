"""From a picture to a reading: paper and ink, digits, text, verdict and confidence."""
