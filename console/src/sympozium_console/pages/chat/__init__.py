"""Chat with an instance's agent: each question is a run that the console starts, and a conversation is a session of such runs."""
