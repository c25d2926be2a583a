"""What is spoken over gRPC: messages to queries, predictions to messages. Nothing is decided here."""
