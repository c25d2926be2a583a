"""Self-contained HTML pages from the templates of this package."""

from __future__ import annotations


def render_page(template: str, **values: object) -> str:
    """The page as text. Every value is escaped: a row that holds markup is shown, never run. A missing value is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("training"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(**values)
