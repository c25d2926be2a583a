"""The typed client of the inference service for threads; `inference_async` has the one for asyncio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bertline.inference.v1 import inference_pb2_grpc

from services.clients.bulk import Requests, classify_all
from services.clients.channels import ClientTls
from services.clients.classification_messages import Classified, ClassifyReply, classify_reply, classify_request
from services.clients.connections import BlockingConnection
from services.clients.embedding_messages import EmbedReply, VectorFormat, embed_reply, embed_request
from services.clients.explanation_messages import ExplainReply, explain_reply, explain_request
from services.clients.messages import ItemError, Text, refuse_lone
from services.clients.options import OffsetUnit, Options
from services.clients.regression_messages import RegressReply, regress_reply, regress_request
from services.clients.scoring_messages import ScoreReply, score_reply, score_request
from services.clients.tagging_messages import TagReply, tag_reply, tag_request

TIMEOUT_S = 10.0
TEXTS_PER_REQUEST = 16


class InferenceClient(BlockingConnection):
    """Blocking client; thread-safe. Use it as a context manager.

    with InferenceClient("127.0.0.1:50051") as client:
        reply = client.classify(["Shares rallied after the rate cut."], model="news")

    `target` may name many servers ("dns:///inference:50051", "ipv4:10.0.0.1:50051,10.0.0.2:50051"): calls go round them.
    `timeout_s` and `correlation_id` are for all calls that bring none of their own.

    Every call takes `model` (empty: the server's only one) and `version` or `label` (neither: the version labelled
    "stable"), `options`, `timeout_s`, which spans all retries, and `correlation_id`. A text that fails alone is an
    `ItemError` in the results. Calls raise CallFailed or a subclass when they fail, ValueError or TypeError for
    arguments that make no sense.
    """

    def __init__(
        self, target: str, *, timeout_s: float = TIMEOUT_S, tls: ClientTls | None = None, correlation_id: str = ""
    ) -> None:
        super().__init__(target, timeout_s, tls, correlation_id)
        self._stub = inference_pb2_grpc.InferenceServiceStub(self._channel)

    def classify(
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
        """Labels of texts, or of (text, text_pair) for models of pairs; results come in their order.

        At most `top_k` labels a text, 0: all; those less probable than `threshold` are left out. None leaves it to the model:
        the best label, or where a text can have several those that apply. With `coverage`, such as 0.9, instead of both: a set of
        labels that holds the right one at least so often.
        """
        request = classify_request(
            texts, model, version, label, top_k, threshold, raw_scores, options, coverage=coverage
        )
        return classify_reply(*self._send(self._stub.Classify, request, timeout_s, correlation_id))

    def classify_stream(
        self,
        texts: Iterable[Text],
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
    ) -> Iterator[Classified | ItemError]:
        """Results of any number of texts, in their order, while `texts` is read no further ahead than 64 requests.

        A server that is overloaded is waited for. `texts` is read on another thread; what it raises is raised here.
        `timeout_s` is for the whole of it; None: no limit. Leaving the loop early cancels the rest.
        """

        def make(some: Sequence[Text], first: int) -> Any:
            return classify_request(some, model, version, label, top_k, threshold, raw_scores, options, first, coverage)

        refuse_lone(texts)
        made = self._options.for_call(None, correlation_id)
        return classify_all(self._stub, texts, Requests(make, texts_per_request), made, timeout_s)

    def embed(
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
        """One vector a text, of length 1 unless `raw_vectors`; the first `dimensions` elements, or all."""
        request = embed_request(texts, model, version, label, dimensions, vector_format, raw_vectors, options)
        return embed_reply(*self._send(self._stub.Embed, request, timeout_s, correlation_id))

    def score(
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
        """Candidates ranked against a query, best first; `index` says which is which. A bad query fails the call."""
        request = score_request(query, candidates, model, version, label, top_k, threshold, raw_scores, options)
        return score_reply(*self._send(self._stub.Score, request, timeout_s, correlation_id))

    def regress(
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
        """A number a text, or (text, text_pair) for models of pairs, in the units of the training data; in their order."""
        request = regress_request(texts, model, version, label, options)
        return regress_reply(*self._send(self._stub.Regress, request, timeout_s, correlation_id))

    def tag(
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
        """Entities in texts; by default offsets count as Python's strings do."""
        request = tag_request(texts, model, version, label, threshold, include_words, offset_unit, options)
        return tag_reply(*self._send(self._stub.Tag, request, timeout_s, correlation_id))

    def explain(
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
        """Which words of a text moved the label `target` (None: its best one; `label` chooses the model's version)."""
        request = explain_request(text, model, version, label, target, max_evaluations, top_k, offset_unit, options)
        return explain_reply(*self._send(self._stub.Explain, request, timeout_s, correlation_id))
