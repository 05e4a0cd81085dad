"""A run as one page that needs nothing else: what broke, when, what it cost, how to run it again.

`timeline.py` turns a case's evidence into values, `chart.py` says where each of them is drawn,
`views.py` puts them beside the results, and the files in `templates/` make a page of it.
"""

from chaos.report.html.page import document
from chaos.report.html.writing import NAME, HtmlError, write_html

__all__ = ["NAME", "HtmlError", "document", "write_html"]
