"""What auditors compute from histories alone: statements, the law, totals, and what does not fit.

Pure reading: commits go in, findings and numbers come out. Nothing here trusts a row or a
snapshot.
"""
