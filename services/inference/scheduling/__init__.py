"""Who is computed when, and beside whom: lanes of waiting texts, workers that take batches from them."""
