"""What the tests share: databases of their own, rows to put into them, and ways to run the command."""
