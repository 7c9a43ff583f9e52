"""The plots of a report's page; all but `series` need matplotlib."""
