from tests.serve.s3.conftest import pair

__all__ = ["pair"]
