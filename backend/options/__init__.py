"""Options of a project, with defaults from the environment."""

from backend.options.fields import AUTO, ProjectOptions
from backend.options.messages import field_of, not_json

__all__ = ["AUTO", "ProjectOptions", "field_of", "not_json"]
