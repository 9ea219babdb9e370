"""The attacks and faults that wharf is held against, by number: which tests show what becomes of each."""
