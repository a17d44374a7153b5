"""Templates in the packages of mfcli, filled with values that are always escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mfcli.pages.number_texts import count, date, digits, percent
from mfcli.pages.plain_text import plain


def rendered(package: str, template: str, **values: object) -> Markup:
    """Fill a template.

    All values are escaped, except markup that other templates and charts made. Control characters
    and lone surrogates, which HTML cannot hold, are replaced. The filters ``count``, ``digits``,
    ``percent`` and ``date`` format numbers; they show NaN and None as a dash.

    Parameters
    ----------
    package : str
        A package of mfcli, such as "reports".
    template : str
        A file in its folder `templates`.
    **values : object
        The names that the template uses.

    Returns
    -------
    Markup
        A str that is not escaped again.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a name that has no value.
    """
    return Markup(_environment(package).get_template(template).render(values))


@cache
def _environment(package: str) -> Environment:
    folder = files("mfcli").joinpath(package, "templates")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=count, digits=digits, percent=percent, date=date)
    return environment


def _finished(value: object) -> object:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
