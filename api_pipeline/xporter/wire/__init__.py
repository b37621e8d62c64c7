"""The School Data API on the wire: who asks, tokens, one question and its answer. No database."""
