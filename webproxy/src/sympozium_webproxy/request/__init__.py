"""Steps that every request shares, whatever protocol it came in: no step knows a protocol, each raises Refusal."""
