"""What a precision mode costs in depth, forecast on a CPU by rounding as the compiler would."""
