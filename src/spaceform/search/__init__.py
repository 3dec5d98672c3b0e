"""Search: filters on attributes (`filters`), and the exact search (`exact`) that every faster one is compared with."""
