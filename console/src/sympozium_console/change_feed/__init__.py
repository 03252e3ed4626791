"""What changes in the cluster, told to any number of clients from one watch per kind."""
