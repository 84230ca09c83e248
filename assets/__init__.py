"""What ships beside the code: recipes, the dataset catalogue and help pages."""
