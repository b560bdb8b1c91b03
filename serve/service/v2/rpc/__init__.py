"""The protocol over gRPC: its messages, its calls and its server."""
