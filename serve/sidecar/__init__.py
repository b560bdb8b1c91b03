"""The sidecar: depth for another program, once per process or from a worker that stays."""
