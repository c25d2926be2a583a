"""The one typed way for a program to call Bertline's services."""

from services.clients.channels import ClientTls
from services.clients.failures import (
    CallFailed,
    DeadlineExceeded,
    ErrorDetails,
    InvalidRequest,
    MessageTooLarge,
    NotFound,
    Overloaded,
    Unavailable,
)
from services.clients.inference import AsyncInferenceClient, InferenceClient
from services.clients.messages import Classified, ClassifyReply, ItemError, Label, Text, Timings

__all__ = [
    "AsyncInferenceClient",
    "CallFailed",
    "Classified",
    "ClassifyReply",
    "ClientTls",
    "DeadlineExceeded",
    "ErrorDetails",
    "InferenceClient",
    "InvalidRequest",
    "ItemError",
    "Label",
    "MessageTooLarge",
    "NotFound",
    "Overloaded",
    "Text",
    "Timings",
    "Unavailable",
]
