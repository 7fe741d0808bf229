"""Recorded history: every event of every version ever written, and what is made of it.

``*.jsonl``
    Exports (``splitsound events export``) of past releases, hash chain included. Such a file is
    never changed: it stands for what stores hold. New files are added.
``rows.json``
    What each projection makes of all of it, under the version of its code.
``schemas.json``
    The JSON schema of each event, by tag: what stored events may look like.

To add events: write a chapter in ``chapters.py`` that commits them, under a new name, then::

    .venv/bin/python -m tests.domain.golden.record

which writes the chapter's file if there is none yet, and both JSON files anew (refusing a
change of an event that old lines would not survive). Look at the diff, commit all of it.
"""
