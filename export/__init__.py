"""From a fine-tuned checkpoint to a proven, published model bundle."""
