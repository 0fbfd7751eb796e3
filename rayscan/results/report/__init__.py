"""The report of a scan: the facts once, as text, as Markdown and as a page."""

from __future__ import annotations

from rayscan.results.report.facts import Report, text_report
from rayscan.results.report.page import write_page
from rayscan.results.report.section import Section
from rayscan.results.report.text import WIDTH
from rayscan.results.report.timing import Utilisation, utilisation

__all__ = ["WIDTH", "Report", "Section", "Utilisation", "text_report", "utilisation", "write_page"]
