"""Renders the HTML pages: one template each, all on `templates/page.html`, which holds the style."""

from __future__ import annotations


def render_page(template: str, **values: object) -> str:
    """A self-contained page as text. Every value is escaped: a row that holds markup is shown, never run."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("training"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(values)
