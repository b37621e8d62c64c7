"""One function for each block of the payload (mapping 4 to 7). Pure."""
