"""Names to weights, and what a folder of weights says of itself."""
