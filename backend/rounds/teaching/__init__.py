"""A model behind a server teaches the local one: which texts it answers, and what is learned of its answers."""
