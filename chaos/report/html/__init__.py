"""A run as one page that needs nothing else: what broke, when, what it cost, how to run it again.

`timeline.py` turns a case's evidence into values, `chart.py` says where each of them is drawn,
`views.py` puts them beside the results, and the files in `templates/` make a page of it.
"""

from pathlib import Path

from chaos.evidence.case import Evidence
from chaos.evidence.files import write_file
from chaos.experiment.reading import ReadingError, read_run
from chaos.report.html.page import document, render
from chaos.report.html.views import Reader, RunView, run_view

__all__ = ["NAME", "HtmlError", "document", "write_html"]

NAME = "report.html"

MOST_BYTES = 1_500_000
"""What a page should take at most; of a larger one less of what passed is shown."""


class HtmlError(Exception):
    """The page could not be made. One sentence: what happened and what to do."""


def write_html(folder: Path, *, against: Path | None = None, read: Reader = Evidence.load) -> Path:
    """Write the page of a run, compared to another; whole or not at all. Raises HtmlError.

    `read` reads the evidence of a case.
    """
    try:
        run = read_run(folder)
        other = read_run(against) if against else None
    except ReadingError as error:
        raise HtmlError(f"{NAME} was not written: {error}") from None
    target = folder / NAME
    try:
        view = run_view(run, folder, other, read)
        page = _page(view)
        write_file(target, page if len(page.encode()) <= MOST_BYTES else _page(view.brief()))
    except OSError as error:
        raise HtmlError(
            f"{target} could not be written ({error.strerror}): make room there, then run "
            f"python -m chaos report {folder}."
        ) from None
    except Exception as error:  # a fault of the page must not hide the results
        raise HtmlError(
            f"{target} could not be rendered ({type(error).__name__}: {error}); the results are "
            "complete without it."
        ) from error
    return target


def _page(view: RunView) -> str:
    title = f"{view.headline}: run {view.result.run_id}"
    return document(title, render("report.html", view=view))
