"""What a run is: its directory, status, events, log, requests and metrics."""
