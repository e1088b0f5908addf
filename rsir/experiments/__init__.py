"""From a config to a row of a table: runs, records, trials, claims."""
