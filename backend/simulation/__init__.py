"""`lsal simulate`: replay the active-learning loop on labeled data, to compare what strategies save."""
