"""Which model goes where on a fleet of unequal nodes, decided before anything is deployed."""
