"""What can be said of each sample by a trained network: the table by which `select` chooses."""

from __future__ import annotations

import polars as pl

from schemas.contract import Contract
from schemas.frames import dy
from schemas.posteriors import one_length, sums_to_one


class Scores(dy.Schema):
    """What can be said of each sample by a trained network: the table by which `select` chooses."""

    sample_id = dy.String(primary_key=True, min_length=1)
    group_id = dy.String(nullable=True, description="patient or lesion; null where unknown")
    given_label = dy.String(min_length=1, description="the label it bears now")
    relabelled = dy.Bool(description="whether an expert gave that label")
    judged_clean = dy.Bool(nullable=True, description="by phase 1; null if it made no judgement")
    true_posterior = dy.List(
        dy.Float32(min=0, max=1),
        nullable=True,
        description="chance of each true class by image and given label, as training estimated it; null if it did not",
    )
    posterior = dy.List(dy.Float32(min=0, max=1), description="by class, in the order of classes.yaml; sums to 1")
    predicted_label = dy.String(min_length=1)
    entropy = dy.Float32(min=0, description="of the posterior, in nats")
    least_confidence = dy.Float32(min=0, max=1, description="1 less the largest posterior")
    margin = dy.Float32(min=0, max=1, description="largest posterior less the second")
    bald = dy.Float32(nullable=True, min=0, description="mutual information of label and dropout, in nats")
    disagreement = dy.Float32(
        nullable=True, min=0, description="Jensen-Shannon divergence of the two networks, in nats"
    )
    peer_label = dy.String(nullable=True, description="the class that network 2 holds likeliest; null if there is one")
    loss = dy.Float32(min=0, description="cross-entropy of the given label, in nats")
    self_confidence = dy.Float32(nullable=True, min=0, max=1, description="posterior of the given label")
    normalised_margin = dy.Float32(
        nullable=True,
        min=0,
        max=1,
        description="half of 1 plus the given label's lead over the largest other",
    )
    cross_entropy_less_entropy = dy.Float32(
        nullable=True, description="loss less entropy, in nats; large for labels that are wrong beyond doubt"
    )
    confidence_weighted_entropy = dy.Float32(
        nullable=True, min=0, description="share of the greatest entropy, over the posterior of the given label"
    )
    neighbour_disagreement = dy.Float32(
        nullable=True, min=0, max=1, description="share of the nearest neighbours that bear another label"
    )
    area_under_margin = dy.Float32(
        nullable=True, description="over phase 1, of the label it bore then; low where that is likely wrong"
    )
    forgetting_events = dy.Int32(
        nullable=True, min=0, description="how often phase 1 told that label and then not; null if never"
    )
    variance_of_gradients = dy.Float32(nullable=True, min=0, description="at the end of phase 1; null if unknown")
    suggested_label = dy.String(min_length=1, description="the class the network holds likeliest")
    suggested_certainty = dy.Float32(nullable=True, min=0, max=1, description="its posterior")

    @dy.rule()
    def posterior_sums_to_one(cls) -> pl.Expr:
        """Hold each posterior to a distribution."""
        return sums_to_one("posterior")

    @dy.rule()
    def true_posterior_sums_to_one(cls) -> pl.Expr:
        """Hold each posterior of the truth to a distribution."""
        return sums_to_one("true_posterior").fill_null(True)

    @dy.rule()
    def posterior_has_the_same_length_in_every_row(cls) -> pl.Expr:
        """Hold all posteriors to one number of classes."""
        return one_length("posterior")


SCORES = Contract(
    "scores",
    version=1,
    schema=Scores,
    optional={"judged_clean": None, "relabelled": False, "group_id": None, "suggested_certainty": None}
    | dict.fromkeys(("true_posterior", "bald", "disagreement", "peer_label", "self_confidence", "normalised_margin"))
    | dict.fromkeys(("cross_entropy_less_entropy", "confidence_weighted_entropy", "neighbour_disagreement"))
    | dict.fromkeys(("area_under_margin", "forgetting_events", "variance_of_gradients")),
)
