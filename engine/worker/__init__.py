"""The process that trains: its session, the requests it obeys, the device queue and the estimate."""
