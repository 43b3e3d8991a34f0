"""`lsal doctor`: checks a whole installation, prints what to do, and repairs what it can."""
