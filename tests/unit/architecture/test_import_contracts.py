"""Every import contract is proven by planting a violation and seeing it caught."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("training", "export", "services")

PLANTED = [
    ("layers", "training/run.py", "import export.manifest"),
    ("layers", "export/manifest.py", "import services.platform.failures"),
    ("torch-free", "services/inference/tokenization.py", "import transformers"),
    ("torch-free", "services/platform/logs.py", "import training.run"),
    ("torch-free", "services/inference/versions/models.py", "import export.graph"),
    ("manifest-is-pure", "export/registry.py", "import onnxruntime"),
    ("manifest-is-pure", "export/transfer.py", "import training.run"),
    ("cryptography-in-one-place", "services/inference/loading.py", "import cryptography"),
    ("recipes-declared", "export/recipes/catalogue.py", "import onnx"),
    ("services-apart", "services/quickstart/__main__.py", "import services.inference.settings"),
    ("platform-below", "services/platform/server.py", "import services.inference.settings"),
    ("generated-code", "services/inference/pipeline.py", "import bertline.inference.v1.inference_pb2"),
    ("generated-code", "services/inference/execution/computation.py", "import open_inference.grpc_service_pb2"),
    ("optimum-in-one-place", "export/quantization.py", "import optimum.onnxruntime"),
    ("cleanlab-in-one-place", "training/audit/folds.py", "import cleanlab.filter"),
    ("sentence-transformers-in-one-place", "training/embedding/mining.py", "import sentence_transformers"),
    ("embedding-layers", "training/embedding/retrieval.py", "import training.embedding.rows"),
    ("structure-layers", "export/structure/catalogue.py", "import export.structure.pruning"),
    ("text-graph-layers", "export/text_graph/tokens.py", "import export.text_graph.proof"),
    ("audit-layers", "training/audit/findings.py", "import training.audit.sheet"),
    ("tagging-layers", "training/tagging/schemes.py", "import training.tagging.decoding"),
    ("augmentation-layers", "training/augmentation/words.py", "import training.augmentation.copies"),
    ("distillation-layers", "training/distillation/layers.py", "import training.distillation.teachers"),
    ("scope-layers", "training/scope/detector.py", "import training.scope.model"),
    ("optuna-in-one-place", "training/fine_tuning.py", "import optuna"),
    ("optuna-in-one-place", "training/run.py", "import sqlalchemy"),
    ("pretraining-layers", "training/pretraining/masking.py", "import training.pretraining.batches"),
    ("report-layers", "training/report/slices.py", "import training.report.making"),
    ("captum-in-one-place", "training/report/robustness.py", "import captum.attr"),
    ("search-layers", "training/search/storage.py", "import training.search.study"),
    ("tuning-layers", "export/tuning/statistics.py", "import export.tuning.rounds"),
    ("inference-layers", "services/inference/execution/computation.py", "import services.inference.pipeline"),
    ("inference-layers", "services/inference/prediction.py", "import services.inference.tokenization"),
    ("wire-layers", "services/inference/wires/wire_requests.py", "import services.inference.wires.servicer"),
    ("version-layers", "services/inference/versions/desired.py", "import services.inference.versions.models"),
    ("execution-layers", "services/inference/execution/devices.py", "import services.inference.execution.session"),
    ("scheduling-layers", "services/inference/scheduling/work.py", "import services.inference.scheduling.lane"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the copy of the source tree in `folder`."""
    command = [Path(sys.executable).parent / "lint-imports", "--config", "pyproject.toml", "--no-cache"]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "300"},
        check=False,
    )


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of the contracts."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken_contracts(output: str) -> set[str]:
    """Names of the contracts that import-linter calls broken."""
    return set(re.findall(r"^(.*) BROKEN", output, re.MULTILINE))


def name_of(contract: str) -> str:
    """The title of a contract, which is what import-linter prints."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf'id = "{contract}"\nname = "(.*)"', text)
    assert found, f"pyproject.toml has no contract {contract}"
    return found.group(1)


def test_the_source_keeps_every_contract(source_tree: Path) -> None:
    done = lint(source_tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "module", "planted"), PLANTED)
def test_a_planted_import_breaks_its_contract(source_tree: Path, contract: str, module: str, planted: str) -> None:
    path = source_tree / module
    kept = path.read_text(encoding="utf-8")
    path.write_text(kept + f"\n{planted}\n", encoding="utf-8")
    try:
        done = lint(source_tree)
    finally:
        path.write_text(kept, encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert name_of(contract) in broken_contracts(done.stdout), done.stdout


def test_every_contract_has_a_planted_violation() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert set(re.findall(r'^id = "(.*)"', text, re.MULTILINE)) == {contract for contract, _, _ in PLANTED}


def test_every_module_of_the_service_is_either_a_wire_or_kept_from_protobuf() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    kept = set(next(each for each in contracts if each["id"] == "generated-code")["source_modules"])
    folder = ROOT / "services" / "inference"
    children = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    free = {name for name in children if f"services.inference.{name}" not in kept}
    assert free == {"__init__", "__main__", "wires"}
