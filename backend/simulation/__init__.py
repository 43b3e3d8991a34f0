"""`lsal simulate`: replay the loop on labeled data, to see what each strategy would have saved."""
