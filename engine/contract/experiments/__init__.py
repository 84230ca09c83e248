"""Many runs as one question: training the runs of recipes and comparing them with their figures."""
