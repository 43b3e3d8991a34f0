"""The pages at `/ui/`: server-rendered, charts by plotly, live updates by plain JavaScript without a build step."""
