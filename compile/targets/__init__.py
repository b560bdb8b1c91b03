"""What programs are compiled for: one module per target, and the table of them."""
