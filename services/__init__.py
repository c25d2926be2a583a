"""Online half of Bertline: gRPC services; nothing here reaches torch or transformers."""
