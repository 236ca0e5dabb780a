"""The residual stream: directions in it, read and changed."""
