"""What is kept on disk: archives as they were read, their trees, the bytecode of the trees."""
