"""Is it acceptable, and if not, what is done? One contract, compiled for single rows and for whole blocks."""
