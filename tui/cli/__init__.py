"""The command line: what the app can do, a command can do."""
