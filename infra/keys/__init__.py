"""Where secrets live: files beside the journal on a laptop, a table and KMS on AWS."""

from __future__ import annotations

from infra.keys.files import KeyFiles
from infra.keys.ports import KeyStore
from infra.keys.sealing import KmsSealing, Sealing
from infra.keys.table import KeyTable

__all__ = ["KeyFiles", "KeyStore", "KeyTable", "KmsSealing", "Sealing"]
