"""A plan as a RayService: every replica is where it was planned, by `kubectl apply`."""
