"""The pages at `/ui/`: rendered here, drawn by plotly, kept up to date by a little JavaScript, without a build step."""
