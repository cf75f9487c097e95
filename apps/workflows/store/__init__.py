"""All SQL of the hot path, named; no ORM. Times are the database's: no process's clock decides anything."""
