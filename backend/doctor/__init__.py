"""`lsal doctor`: checks an installation from end to end, says what to do, and repairs what it can."""
