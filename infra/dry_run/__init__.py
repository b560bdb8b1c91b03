"""Compile-then-deploy on one machine: `make deploy-dry-run`. No package imports this folder."""
