"""The HTTP and gRPC service."""
