"""What took part in making a bundle: software, encoder and data, with versions and licences, as CycloneDX 1.6 in JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from platform import python_version

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from export.licences import NOT_STATED, UNKNOWN
from export.manifest import Manifest

BILL = "sbom.json"
LONGEST_LICENCE = 100
"""Characters; a longer `License` of a distribution is the text of it, not its name."""


def bill_of_materials(manifest: Manifest) -> str:
    """Names the distributions whose modules this process has loaded, Python, the encoder and the training data."""
    model = Component(name=manifest.name, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=f"model:{manifest.name}")
    bom = Bom()
    bom.metadata.component = model
    parts = [*_origins(manifest), _python(), *map(_software, distributions_in_use())]
    bom.components.update(parts)
    bom.register_dependency(model, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def distributions_in_use() -> list[Distribution]:
    """Of every loaded module, sorted by name. Of those that share one namespace all count."""
    owners = packages_distributions()
    tops = {name.partition(".")[0] for name in tuple(sys.modules)}
    names = {owner.lower().replace("_", "-"): owner for top in tops for owner in owners.get(top, ())}
    return list(_found(names[key] for key in sorted(names)))


def licence_of(found: Distribution) -> str | None:
    """As its metadata says: the SPDX expression, else the short name, else the classifiers; None where it says nothing."""
    said = _field(found, "License-Expression")
    if said:
        return said
    said = _field(found, "License")
    if said and said.upper() != "UNKNOWN" and "\n" not in said and len(said) <= LONGEST_LICENCE:
        return said
    classifiers = found.metadata.get_all("Classifier") or []
    names = [
        line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ") and line.count(" :: ") > 1
    ]
    return ", ".join(names) or None


def _field(found: Distribution, name: str) -> str:
    return found.metadata[name].strip() if name in found.metadata else ""


def _found(names: Iterator[str]) -> Iterator[Distribution]:
    for name in names:
        try:
            yield distribution(name)
        except PackageNotFoundError:  # removed while this process ran
            continue


def _software(found: Distribution) -> Component:
    url = PackageURL("pypi", None, found.name.lower().replace("_", "-"), found.version)
    return Component(
        name=found.name,
        version=found.version,
        type=ComponentType.LIBRARY,
        licenses=_licences(licence_of(found)),
        purl=url,
        bom_ref=str(url),
    )


def _python() -> Component:
    return Component(name="python", version=python_version(), type=ComponentType.PLATFORM, bom_ref="python")


def _origins(manifest: Manifest) -> list[Component]:
    said = manifest.licences
    fingerprint = Property(name="bertline:fingerprint", value=manifest.data_fingerprint)
    return [
        Component(
            name=manifest.encoder,
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=BomRef("encoder"),
            licenses=_licences(said.weights if said is not None else None),
        ),
        Component(
            name="training data",
            type=ComponentType.DATA,
            bom_ref=BomRef("data"),
            licenses=_licences(said.data if said is not None else None),
            properties=[fingerprint],
        ),
    ]


def _licences(said: str | None) -> list[License] | None:
    return None if said in {None, UNKNOWN, NOT_STATED} else [LicenseFactory().make_from_string(said)]
