"""What the operating system gives: threads, limits, owners, copies, inflating."""
