"""Model packs: a classifier, its card, and where packs are found."""
