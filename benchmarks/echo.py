"""`python -m benchmarks.echo`: what Python gRPC alone costs a call here, with the inference contract and nothing behind it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import grpc
import typer
from bertline.inference.v1 import inference_pb2 as pb

from benchmarks import clients
from benchmarks.figures import percentile
from benchmarks.generator import Generator
from benchmarks.messages import PATH, request
from benchmarks.server_process import free_port, running

TEXTS = 1_000
RAMP_SECONDS = 0.5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
