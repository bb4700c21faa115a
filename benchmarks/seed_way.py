"""Co-teaching with variance of gradients the seed's way, written from its description, as a baseline for timing.

Images are augmented one by one with PIL in two worker processes; everything is float32, in torch's default memory
format; and each epoch ends with a further pass over the augmented data for each network, in train mode, forward and
backward through the whole network as the published program does it, to take each sample's gradient of the last layer.

Where the description leaves a choice, the faster one is taken, so that the baseline is not slower than it need be: the
gradients by sample are taken of the last layer alone, with `torch.func` (the whole network could not be gone through by
sample: batch norm in train mode mixes the samples). Images come from memory, not from files; gradients stay in memory.
"""

from __future__ import annotations

from collections import deque

import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from stages.training.network import IMAGENET_MEAN, IMAGENET_STD, Network

WORKERS, EPOCHS = 2, 5


def augmentation(side: int) -> transforms.Compose:
    """Return the published recipe on PIL images; its 256 and 224 pixels are scaled to `side`."""
    resized = round(side * 256 / 224)
    return transforms.Compose(
        [
            transforms.Resize((resized, resized)),
            transforms.RandomCrop(side),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(10),
            transforms.RandomApply([transforms.GaussianBlur(5, (0.1, 1.0))], p=0.5),
            transforms.RandomApply([transforms.ColorJitter(0.1, 0.1, 0.1, 0.01)], p=0.5),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


class PilImages(Dataset[tuple[Tensor, int, int]]):
    """Images augmented one at a time, with their label and index."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        """Take images (N, S, S, 3) uint8 and labels (N,)."""
        self.images = images.numpy()
        self.labels = labels.tolist()
        self.change = augmentation(images.shape[1])

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        """Return an image (3, S, S), its label and its index."""
        return self.change(Image.fromarray(self.images[index])), self.labels[index], index


def head_gradients(network: Network, features: Tensor, labels: Tensor) -> Tensor:
    """Return each sample's gradient of its loss by the last layer's row and bias of its class, (B, D + 1)."""
    parameters = {name: value.detach() for name, value in network.head.named_parameters()}

    def loss(parameters: dict[str, Tensor], sample: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(network.head, parameters, (sample[None],))[1]
        return cross_entropy(logits, label[None])

    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, features, labels)
    one = torch.arange(len(labels), device=labels.device)
    return torch.cat([found["last.weight"][one, labels], found["last.bias"][one, labels][:, None]], dim=1)


class SeedWay:
    """Two networks that pick for each other, with all that they remember."""

    def __init__(
        self, networks: list[Network], images: Tensor, labels: Tensor, batch: int, forget_rate: float, mix_ratio: float
    ) -> None:
        self.networks = networks
        self.device = next(networks[0].parameters()).device
        self.optimizers = [torch.optim.SGD(n.parameters(), 0.01, momentum=0.9, weight_decay=1e-4) for n in networks]
        pinned = self.device.type == "cuda"
        data = PilImages(images, labels)
        self.loader = DataLoader(data, batch, shuffle=True, num_workers=WORKERS, pin_memory=pinned)
        self.forget_rate, self.mix_ratio, self.samples = forget_rate, mix_ratio, len(labels)
        self.gradients: list[deque[Tensor]] = [deque(maxlen=EPOCHS) for _ in networks]

    def epoch(self) -> None:
        """Learn for an epoch, then take the gradients for the next ones."""
        variance = [torch.stack(list(kept)).std(dim=0, correction=0).mean(dim=1) for kept in self.gradients if kept]
        for network in self.networks:
            network.train()
        for images, labels, index in self.loader:
            self._step(images.to(self.device), labels.to(self.device), [by_sample[index] for by_sample in variance])
        for network, kept in zip(self.networks, self.gradients, strict=True):
            kept.append(self._all_gradients(network))

    def _step(self, images: Tensor, labels: Tensor, variance: list[Tensor]) -> None:
        losses = [cross_entropy(network(images)[1], labels, reduction="none") for network in self.networks]
        picks = [self._pick(losses[i].detach(), variance[i] if variance else None) for i in range(2)]
        for optimizer, loss, chosen in zip(self.optimizers, losses, reversed(picks), strict=True):
            optimizer.zero_grad()
            loss[chosen].mean().backward()
            optimizer.step()

    def _pick(self, loss: Tensor, variance: Tensor | None) -> Tensor:
        count = int((1 - self.forget_rate) * len(loss))
        if variance is None:
            return loss.argsort()[:count]
        by_loss = loss.argsort()[: int(count * (1 - self.mix_ratio))]
        left = variance.to(loss.device).index_fill(0, by_loss, torch.inf)
        return torch.cat([by_loss, left.argsort()[: int(count * self.mix_ratio)]])

    def _all_gradients(self, network: Network) -> Tensor:
        width = network.head.last.in_features
        found = torch.zeros(self.samples, width + 1)
        for images, given, index in self.loader:
            labels = given.to(self.device)
            network.zero_grad()
            features, logits = network(images.to(self.device))
            cross_entropy(logits, labels).backward()
            found[index] = head_gradients(network, features.detach(), labels).cpu()
        return found
