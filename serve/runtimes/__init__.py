"""What runs programs: one module per target, and the table of them."""
