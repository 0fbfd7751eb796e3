"""How many evaluations a scan needs, and how well what it collects covers the valid region."""
