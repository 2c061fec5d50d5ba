"""One file per strategy; `table.py` lists them, cheapest first."""
