"""What the stand-ins of both SDKs share. It lies beside them, so that one path serves all."""
