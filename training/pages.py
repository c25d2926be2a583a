"""Renders the pages: HTML on `templates/page.html`, which holds the style, and Markdown."""

from __future__ import annotations

import re

LINE_END = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def render_page(template: str, package: str = "training", /, **values: object) -> str:
    """A self-contained page as text. Every value is escaped: a row that holds markup is shown, never run.

    The template is that of a package, or else the one here.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("training")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(values)


def render_markdown(template: str, **values: object) -> str:
    """A Markdown text. Every value is escaped, so that it can neither be markup nor end its line or table cell."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("training"),
        autoescape=False,  # noqa: S701 - `finalize` escapes Markdown, and with it HTML
        finalize=_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


class Markdown(str):
    """Text that is Markdown already, and goes into a page as it is."""

    __slots__ = ()


def _plain(value: object) -> object:
    if isinstance(value, Markdown) or not isinstance(value, str):
        return value
    return MARKUP.sub(r"\\\1", LINE_END.sub(" ", value))
