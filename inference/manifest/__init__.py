"""A plan as a RayService: what `kubectl apply` needs for every replica to be where it was planned."""
