"""Many runs as one question: training the runs of recipes and holding them against their figures."""
