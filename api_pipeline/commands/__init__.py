"""The click commands: each parses its options, calls one function, and chooses the exit code."""
