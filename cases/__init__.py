"""Runnable case studies, the command line, run folders, checks and reports."""
