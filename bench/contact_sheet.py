"""The contact sheets of `workers/contact_sheet.py`, where the benchmarks look for them."""

from workers.contact_sheet import save_contact_sheet

__all__ = ["save_contact_sheet"]
