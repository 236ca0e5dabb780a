"""Planning and running studies: a paper's sweep with its findings."""
