"""The one typed way for a program to call Bertline's services."""

from services.clients.channels import ClientTls
from services.clients.classification_messages import Classified, ClassifyReply, Label, Scope
from services.clients.embedding_messages import Embedded, EmbedReply
from services.clients.explanation_messages import Contribution, ExplainReply
from services.clients.failures import (
    CallFailed,
    DeadlineExceeded,
    ErrorDetails,
    FailedPrecondition,
    InvalidRequest,
    MessageTooLarge,
    NotFound,
    Overloaded,
    Unavailable,
)
from services.clients.inference import InferenceClient
from services.clients.inference_async import AsyncInferenceClient
from services.clients.messages import ItemError, Text, Timings
from services.clients.model_messages import (
    ModelStatus,
    ShadowStatus,
    VariantFacts,
    VersionFacts,
    VersionState,
    VersionStatus,
)
from services.clients.models import AsyncModelClient, ModelClient
from services.clients.options import Options, Windows
from services.clients.regression_messages import Regressed, RegressReply
from services.clients.scoring_messages import Scored, ScoreReply, Unscored
from services.clients.tagging_messages import Entity, Tagged, TagReply, Word

__all__ = [
    "AsyncInferenceClient",
    "AsyncModelClient",
    "CallFailed",
    "Classified",
    "ClassifyReply",
    "ClientTls",
    "Contribution",
    "DeadlineExceeded",
    "EmbedReply",
    "Embedded",
    "Entity",
    "ErrorDetails",
    "ExplainReply",
    "FailedPrecondition",
    "InferenceClient",
    "InvalidRequest",
    "ItemError",
    "Label",
    "MessageTooLarge",
    "ModelClient",
    "ModelStatus",
    "NotFound",
    "Options",
    "Overloaded",
    "RegressReply",
    "Regressed",
    "Scope",
    "ScoreReply",
    "Scored",
    "ShadowStatus",
    "TagReply",
    "Tagged",
    "Text",
    "Timings",
    "Unavailable",
    "Unscored",
    "VariantFacts",
    "VersionFacts",
    "VersionState",
    "VersionStatus",
    "Windows",
    "Word",
]
