"""Which distribution may be added to a build, because somebody trusted has named it."""
