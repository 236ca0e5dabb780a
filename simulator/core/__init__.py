"""The basic types of the package: requests, answers, examples, errors, seeds, files."""
