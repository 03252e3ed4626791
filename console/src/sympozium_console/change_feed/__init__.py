"""Changes in the cluster, sent to any number of clients from one watch per kind."""
