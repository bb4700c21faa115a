"""All tables, in the order of the chain."""

from __future__ import annotations

from schemas.answers import ANSWERS
from schemas.clean import CLEAN
from schemas.conflicts import CONFLICTS
from schemas.contract import Contract
from schemas.curves import CURVES
from schemas.history import HISTORY
from schemas.judgement import JUDGEMENT
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.noise import NOISE
from schemas.noisy_ids import NOISY_IDS
from schemas.packets import PACKETS
from schemas.per_class import PER_CLASS
from schemas.predictions import PREDICTIONS
from schemas.queue import QUEUE
from schemas.samples import SAMPLES
from schemas.scores import SCORES
from schemas.signals import SIGNALS
from schemas.strata import STRATA
from schemas.subgroups import SUBGROUPS
from schemas.truth import TRUTH

TABLES: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        SAMPLES,
        LABELS,
        TRUTH,
        CLEAN,
        SIGNALS,
        HISTORY,
        SCORES,
        QUEUE,
        STRATA,
        PACKETS,
        NOISY_IDS,
        NOISE,
        ANSWERS,
        LEDGER,
        CONFLICTS,
        PREDICTIONS,
        PER_CLASS,
        SUBGROUPS,
        JUDGEMENT,
        CURVES,
    )
}
