"""What can be set: fields, sections, families, recipes, and the catalogue of datasets."""
