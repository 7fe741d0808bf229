"""Files as attackers, broken disks and cut connections make them; see ``corpus.generate``."""
