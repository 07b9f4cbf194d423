"""Services of the operating system: threads, limits, owners, copies, inflating."""
