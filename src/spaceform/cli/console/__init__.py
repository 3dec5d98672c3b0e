"""What every command prints with: tables, JSON, errors, progress bars."""
