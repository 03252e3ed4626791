"""What talks to the API server beyond the bare client: convergence, leadership, Events for people. No decision enters here."""
