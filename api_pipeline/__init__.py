"""Sends staged children's social care records to the Department for Education and writes the receipts back."""

__version__ = "0.1.0"
