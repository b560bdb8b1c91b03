"""What every request passes around its route: connection, record, guard."""
