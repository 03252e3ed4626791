"""Access to the API server beyond the bare client: convergence, leadership, Events. No decision enters here."""
