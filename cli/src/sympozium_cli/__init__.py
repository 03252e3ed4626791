"""The command ``kubectl sympozium``: commands and a terminal UI for people with a kubeconfig. It stands on ``sympozium_api`` only."""
