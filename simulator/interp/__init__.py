"""Reading and changing directions of the residual stream."""
