"""Everything a person sees: the app, the charts and the command line. Never imports torch."""
