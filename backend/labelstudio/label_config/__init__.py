"""Label config → what is learned: controls, and the texts that they label."""
