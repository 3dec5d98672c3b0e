"""The catalogue of the forty papers: facts, published figures, claims, search and status."""

from spaceform.papers.catalogue import all_papers, claim_hash, load, read_catalogue
from spaceform.papers.parsing import parse_record
from spaceform.papers.ranking import search
from spaceform.papers.records import PURPOSES, UNVERIFIED, ClaimSpec, Code, Comparison, Paper, Published
from spaceform.papers.standing import Outcome, Status, read_outcome, status

__all__ = [
    "PURPOSES",
    "UNVERIFIED",
    "ClaimSpec",
    "Code",
    "Comparison",
    "Outcome",
    "Paper",
    "Published",
    "Status",
    "all_papers",
    "claim_hash",
    "load",
    "parse_record",
    "read_catalogue",
    "read_outcome",
    "search",
    "status",
]
