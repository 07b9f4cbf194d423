"""Files of one environment, placed from stored trees."""
