"""The runs of a folder as a list: read, filtered, sorted, and put into groups."""
