"""What every engine must keep; a package, so that its servers end with it."""
