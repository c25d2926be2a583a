"""The typed client of the inference service for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

from bertline.inference.v1 import inference_pb2_grpc

from services.clients.bulk import Requests, classify_all_async
from services.clients.channels import ClientTls
from services.clients.classification_messages import Classified, ClassifyReply, classify_reply, classify_request
from services.clients.connections import AsyncConnection
from services.clients.embedding_messages import EmbedReply, VectorFormat, embed_reply, embed_request
from services.clients.explanation_messages import ExplainReply, explain_reply, explain_request
from services.clients.inference import TEXTS_PER_REQUEST, TIMEOUT_S
from services.clients.messages import ItemError, Text, refuse_lone
from services.clients.options import OffsetUnit, Options
from services.clients.regression_messages import RegressReply, regress_reply, regress_request
from services.clients.scoring_messages import ScoreReply, score_reply, score_request
from services.clients.tagging_messages import TagReply, tag_reply, tag_request


class AsyncInferenceClient(AsyncConnection):
    """`InferenceClient` for asyncio, with the same calls. Make it inside a running event loop.

    Cancelling a call cancels its work on the server.
    """

    def __init__(
        self, target: str, *, timeout_s: float = TIMEOUT_S, tls: ClientTls | None = None, correlation_id: str = ""
    ) -> None:
        super().__init__(target, timeout_s, tls, correlation_id)
        self._stub: inference_pb2_grpc.InferenceServiceAsyncStub = inference_pb2_grpc.InferenceServiceStub(
            self._channel
        )

    async def classify(
        self,
        texts: Sequence[Text],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        top_k: int | None = None,
        threshold: float | None = None,
        coverage: float | None = None,
        raw_scores: bool = False,
        options: Options | None = None,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> ClassifyReply:
        """As `InferenceClient.classify`."""
        request = classify_request(
            texts, model, version, label, top_k, threshold, raw_scores, options, coverage=coverage
        )
        return classify_reply(*await self._send(self._stub.Classify, request, timeout_s, correlation_id))

    def classify_stream(
        self,
        texts: Iterable[Text] | AsyncIterable[Text],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        top_k: int | None = None,
        threshold: float | None = None,
        coverage: float | None = None,
        raw_scores: bool = False,
        options: Options | None = None,
        texts_per_request: int = TEXTS_PER_REQUEST,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> AsyncIterator[Classified | ItemError]:
        """As `InferenceClient.classify_stream`; `texts` may be asynchronous, and is read on the event loop."""

        def make(some: Sequence[Text], first: int) -> Any:
            return classify_request(some, model, version, label, top_k, threshold, raw_scores, options, first, coverage)

        refuse_lone(texts)
        made = self._options.for_call(None, correlation_id)
        return classify_all_async(self._stub, texts, Requests(make, texts_per_request), made, timeout_s)

    async def embed(
        self,
        texts: Sequence[Text],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        dimensions: int | None = None,
        vector_format: VectorFormat = "float32",
        raw_vectors: bool = False,
        options: Options | None = None,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> EmbedReply:
        """As `InferenceClient.embed`."""
        request = embed_request(texts, model, version, label, dimensions, vector_format, raw_vectors, options)
        return embed_reply(*await self._send(self._stub.Embed, request, timeout_s, correlation_id))

    async def score(
        self,
        query: str,
        candidates: Sequence[str],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        top_k: int | None = None,
        threshold: float | None = None,
        raw_scores: bool = False,
        options: Options | None = None,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> ScoreReply:
        """As `InferenceClient.score`."""
        request = score_request(query, candidates, model, version, label, top_k, threshold, raw_scores, options)
        return score_reply(*await self._send(self._stub.Score, request, timeout_s, correlation_id))

    async def regress(
        self,
        texts: Sequence[Text],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        options: Options | None = None,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> RegressReply:
        """As `InferenceClient.regress`."""
        request = regress_request(texts, model, version, label, options)
        return regress_reply(*await self._send(self._stub.Regress, request, timeout_s, correlation_id))

    async def tag(
        self,
        texts: Sequence[str],
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        threshold: float | None = None,
        include_words: bool = False,
        offset_unit: OffsetUnit = "code_point",
        options: Options | None = None,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> TagReply:
        """As `InferenceClient.tag`."""
        request = tag_request(texts, model, version, label, threshold, include_words, offset_unit, options)
        return tag_reply(*await self._send(self._stub.Tag, request, timeout_s, correlation_id))

    async def explain(
        self,
        text: Text,
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        target: str | None = None,
        max_evaluations: int | None = None,
        top_k: int | None = None,
        offset_unit: OffsetUnit = "code_point",
        options: Options | None = None,
        timeout_s: float | None = None,
        correlation_id: str | None = None,
    ) -> ExplainReply:
        """As `InferenceClient.explain`."""
        request = explain_request(text, model, version, label, target, max_evaluations, top_k, offset_unit, options)
        return explain_reply(*await self._send(self._stub.Explain, request, timeout_s, correlation_id))
