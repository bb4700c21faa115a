"""Classifier retraining: the last layer begins anew and learns alone, on features that stay as they are.

Kang et al. 2020 (decoupling): what imbalance spoils is the classifier more than the representation, so the classifier
is learnt again with classes drawn alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stages.report import Array, in_memory
from stages.training.device import Precision
from stages.training.inputs import FeatureInputs, Inputs
from stages.training.network import Head, Network
from stages.training.predict import predict
from stages.training.randomness import island


class LastLayer:
    """The last layer of a network, as a head on the network's penultimate features."""

    def __init__(self, network: nn.Module, seed: int) -> None:
        """Take the network, which is not changed before `put_back`, and the seed of the fresh layer."""
        self._network = network
        self._head = network.head if isinstance(network, Network) else network
        assert isinstance(self._head, Head)
        old = self._head.last
        with island(seed, "last layer"):
            self.alone = Head(old.in_features, old.out_features, 0, self._head.dropout.p)

    def inputs(self, inputs: Inputs, rows: Tensor, count: int, device: torch.device, precision: Precision) -> Inputs:
        """Return the penultimate features of the samples of `rows`, to be asked for by the same rows.

        Args:
            inputs: what the network takes.
            rows: those that will be asked for.
            count: rows that there are.
            device: where to compute.
            precision: of the network's pass.
        """
        found = predict([self._network.to(device)], inputs, rows, device, precision).embeddings.float()
        features = torch.zeros(count, found.shape[1])
        features[rows] = found
        return FeatureInputs(features, device)

    def put_back(self) -> None:
        """Give the network the layer that was learnt."""
        assert isinstance(self._head, Head)
        self._head.last.load_state_dict(self.alone.last.state_dict())

    def whole(self, tail: Mapping[int, Mapping[str, Array]]) -> dict[int, dict[str, Array]]:
        """Return the last epochs' weights, as of the whole network, from those of the layer alone."""
        rest = {f"network1.{name}": tensor.detach().cpu() for name, tensor in self._network.state_dict().items()}
        before = "network1.head.last." if isinstance(self._network, Network) else "network1.last."
        return {
            epoch: {name: tensor.clone() for name, tensor in rest.items()}  # one file takes no tensor twice
            | {before + name: in_memory(found[f"network1.last.{name}"]) for name in ("weight", "bias")}
            for epoch, found in tail.items()
        }
