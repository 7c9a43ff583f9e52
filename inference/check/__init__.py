"""Strict checks of Serve configs and RayService manifests, before Ray or Kubernetes sees them."""
