"""From YAML to a checked scenario; loads no model library."""
