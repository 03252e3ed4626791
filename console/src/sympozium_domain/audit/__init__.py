"""The audit of changes: who changes what, written before a change is made and with its outcome after it. Knows no route."""
