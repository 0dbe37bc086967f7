"""The networks of the gallery: each function computes a loss, whose graph is drawn.

Weights and images come from fixed seeds, so that every run draws the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import data, nn, optim


def digits(n: int = 32) -> tuple[gg.Tensor, Any]:
    """n handwritten digits (n, 28, 28, 1) and their labels; they need the extra `train`."""
    images, labels = data.mnist_5k()
    some = np.random.default_rng(0).permutation(len(labels))[:n]
    return gg.Tensor(images[some], name="digits"), labels[some]


def images(shape: tuple[int, ...]) -> gg.Tensor:
    """Random numbers in the place of images."""
    values = np.random.default_rng(0).normal(size=shape)
    return gg.Tensor(values.astype(np.float32), name="images")


class LeNet(nn.Module):
    """Two rounds of filters, then three fully connected layers with an activation of one's choice.

    (N, 28, 28, 1) → (N, 10). Other than in `nn.LeNet` every op has a name, and the activations can
    be exchanged.

    Args:
        act, head: the modules after the filters, and between the fully connected layers.
        small: a factor for all initial weights.
    """

    def __init__(
        self,
        act: type[nn.Module] = nn.ReLU,
        head: type[nn.Module] = nn.ReLU,
        small: float = 1.0,
    ) -> None:
        rng = np.random.default_rng(0)
        self.features = nn.Sequential(
            conv1=nn.Conv(1, 6, 5, padding=2, rng=rng),
            act1=act(),
            pool1=nn.MaxPool(2),
            conv2=nn.Conv(6, 16, 5, rng=rng),
            act2=act(),
            pool2=nn.MaxPool(2),
        )
        self.classifier = nn.Sequential(
            flatten=nn.Flatten(),
            fc1=nn.Linear(400, 120, rng=rng),
            act3=head(),
            fc2=nn.Linear(120, 84, rng=rng),
            act4=head(),
            fc3=nn.Linear(84, 10, rng=rng),
        )
        for name, w in self.named_parameters():
            if name.endswith("w"):
                w.assign(w.data * np.float32(small))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


def lenet(
    act: type[nn.Module] = nn.ReLU, head: type[nn.Module] = nn.ReLU, small: float = 1.0
) -> gg.Tensor:
    """The loss of a fresh LeNet on 32 digits."""
    x, labels = digits()
    return gg.cross_entropy(LeNet(act, head, small)(x), labels)


def overstepped(lr: float = 1.0, steps: int = 2) -> gg.Tensor:
    """The loss of a LeNet after steps that were too large: most of its relus are dead."""
    net = LeNet()
    x, labels = digits()
    optimizer = optim.SGD(net.parameters(), lr=lr)
    for _ in range(steps):
        gg.cross_entropy(net(x), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return gg.cross_entropy(net(x), labels)


class VGG(nn.Module):
    """Sixteen layers with weights: thirteen of filters in five stages, three fully connected.

    (N, 32, 32, 3) → (N, 10), in the proportions of Simonyan and Zisserman, Very Deep Convolutional
    Networks (2014), with an eighth of the channels.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        c_in = 3
        for i, (convs, c_out) in enumerate([(2, 8), (2, 16), (3, 32), (3, 64), (3, 64)], 1):
            layers: dict[str, nn.Module] = {}
            for k in range(1, convs + 1):
                layers[f"conv{k}"] = nn.Conv(c_in, c_out, 3, padding=1, rng=rng)
                layers[f"relu{k}"] = nn.ReLU()
                c_in = c_out
            setattr(self, f"stage{i}", nn.Sequential(**layers, pool=nn.MaxPool(2)))
        self.head = nn.Sequential(
            flatten=nn.Flatten(),
            fc1=nn.Linear(64, 64, rng=rng),
            relu1=nn.ReLU(),
            fc2=nn.Linear(64, 64, rng=rng),
            relu2=nn.ReLU(),
            fc3=nn.Linear(64, 10, rng=rng),
        )

    def forward(self, x: Any) -> Any:
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4, self.stage5):
            x = stage(x)
        return self.head(x)


def vgg() -> gg.Tensor:
    """The loss of a VGG on four images."""
    return gg.cross_entropy(VGG()(images((4, 32, 32, 3))), [0, 1, 2, 3])


class Residual(nn.Module):
    """relu(x + f(x)), f two convolutions; a 1×1 convolution fits x where the shape changes."""

    def __init__(self, c_in: int, c_out: int, stride: int, rng: np.random.Generator) -> None:
        self.conv1 = nn.Conv(c_in, c_out, 3, stride=stride, padding=1, rng=rng)
        self.conv2 = nn.Conv(c_out, c_out, 3, padding=1, rng=rng)
        fits = stride == 1 and c_in == c_out
        self.shortcut = None if fits else nn.Conv(c_in, c_out, 1, stride=stride, rng=rng)

    def forward(self, x: Any) -> Any:
        y = self.conv2(gg.relu(self.conv1(x)))
        return gg.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    """A convolution, residual blocks, the mean over all pixels, a fully connected layer.

    (N, H, W, 3) → (N, 10), after He, Zhang, Ren and Sun, Deep Residual Learning (2015).

    Args:
        widths: channels of each block; where they change, the image is halved.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self.stem = nn.Conv(3, widths[0], 3, padding=1, rng=rng)
        self._names = [f"block{i + 1}" for i in range(len(widths))]
        for name, c_in, c_out in zip(self._names, (widths[0], *widths), widths, strict=False):
            setattr(self, name, Residual(c_in, c_out, 1 if c_in == c_out else 2, rng))
        self.fc = nn.Linear(widths[-1], 10, rng=rng)

    def forward(self, x: Any) -> Any:
        x = gg.relu(self.stem(x))
        for name in self._names:
            x = getattr(self, name)(x)
        return self.fc(gg.mean(x, axis=(1, 2)))


def resnet(*widths: int) -> gg.Tensor:
    """The loss of a ResNet on four images; of three blocks, if no widths are given."""
    net = ResNet(widths or (8, 16, 16))
    return gg.cross_entropy(net(images((4, 16, 16, 3))), [0, 1, 2, 3])


class Bottleneck(nn.Module):
    """relu(x + f(x)), f three scaled convolutions through few channels: 1×1, 3×3, 1×1."""

    def __init__(
        self, c_in: int, width: int, c_out: int, stride: int, rng: np.random.Generator
    ) -> None:
        self.reduce = Scaled(c_in, width, 1, 1, rng)
        self.conv = Scaled(width, width, 3, stride, rng)
        self.expand = Scaled(width, c_out, 1, 1, rng)
        fits = stride == 1 and c_in == c_out
        self.shortcut = None if fits else Scaled(c_in, c_out, 1, stride, rng)

    def forward(self, x: Any) -> Any:
        y = self.expand(gg.relu(self.conv(gg.relu(self.reduce(x)))))
        return gg.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Scaled(nn.Module):
    """A convolution whose channels are scaled, where a normalisation would stand."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int, rng: np.random.Generator
    ) -> None:
        self.conv = nn.Conv(
            c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=False, rng=rng
        )
        gain = np.full(c_out, 0.5, np.float32)
        self.gain = gg.Tensor(gain, requires_grad=True, name="scaled.gain")

    def forward(self, x: Any) -> Any:
        return self.conv(x) * self.gain


class ResNet50(nn.Module):
    """The fifty layers of ResNet-50 with a sixteenth of the channels.

    (N, 32, 32, 3) → (N, 10): a stem, 3 + 4 + 6 + 3 bottleneck blocks, a fully connected layer.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.stem = Scaled(3, 4, 7, 2, rng)
        c_in = 4
        stages = []
        for i, blocks in enumerate((3, 4, 6, 3)):
            width = 4 * 2**i
            stage = {}
            for k in range(blocks):
                stride = 2 if i and not k else 1
                stage[f"block{k + 1}"] = Bottleneck(c_in, width, 4 * width, stride, rng)
                c_in = 4 * width
            stages.append(nn.Sequential(**stage))
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.fc = nn.Linear(c_in, 10, rng=rng)

    def forward(self, x: Any) -> Any:
        x = gg.max_pool(gg.relu(self.stem(x)), 3, stride=2, padding=1)
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4):
            x = stage(x)
        return self.fc(gg.mean(x, axis=(1, 2)))


def resnet50() -> gg.Tensor:
    """The loss of a ResNet-50 on one image."""
    return gg.cross_entropy(ResNet50()(images((1, 32, 32, 3))), [3])


class Double(nn.Module):
    """Two 3×3 convolutions that keep the image's size, each with its relu."""

    def __init__(self, c_in: int, c_out: int, rng: np.random.Generator) -> None:
        self.conv1 = nn.Conv(c_in, c_out, 3, padding=1, rng=rng)
        self.conv2 = nn.Conv(c_out, c_out, 3, padding=1, rng=rng)

    def forward(self, x: Any) -> Any:
        return gg.relu(self.conv2(gg.relu(self.conv1(x))))


def doubled(x: Any) -> Any:
    """Every pixel of a batch of images four times, as a square of two by two."""
    n, height, width, c = x.shape
    with gg.scope("upsample"):
        spread = gg.reshape(x, n, height, 1, width, 1, c)
        squares = gg.broadcast_to(spread, (n, height, 2, width, 2, c))
        return gg.reshape(squares, n, 2 * height, 2 * width, c)


class UNet(nn.Module):
    """Down twice and up twice; on the way up, each level sees what it was on the way down.

    (N, 16, 16, 1) → (N, 16, 16, 1), after Ronneberger, Fischer and Brox, U-Net (2015).
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.down1, self.down2 = Double(1, 4, rng), Double(4, 8, rng)
        self.bottom = Double(8, 16, rng)
        self.up2, self.up1 = Double(16 + 8, 8, rng), Double(8 + 4, 4, rng)
        self.out = nn.Conv(4, 1, 1, rng=rng)

    def forward(self, x: Any) -> Any:
        fine = self.down1(x)
        coarse = self.down2(gg.max_pool(fine, 2))
        deep = self.bottom(gg.max_pool(coarse, 2))
        coarse = self.up2(gg.concatenate([coarse, doubled(deep)], axis=-1))
        fine = self.up1(gg.concatenate([fine, doubled(coarse)], axis=-1))
        return self.out(fine)


def unet() -> gg.Tensor:
    """The loss of a U-Net that shall find where its two images are positive."""
    x = images((2, 16, 16, 1))
    return gg.mse_loss(gg.sigmoid(UNet()(x)), (x.data > 0).astype(np.float32))


class Attention(nn.Module):
    """x + softmax(q kᵀ / √d) v, with q, k and v linear in x: one head.

    (N, tokens, d) → (N, tokens, d), after Vaswani et al., Attention Is All You Need (2017).
    """

    def __init__(self, d: int) -> None:
        rng = np.random.default_rng(0)
        self.query, self.key, self.value = (nn.Linear(d, d, False, rng=rng) for _ in range(3))
        self.out = nn.Linear(d, d, rng=rng)

    def forward(self, x: Any) -> Any:
        q, k, v = self.query(x), self.key(x), self.value(x)
        with gg.scope("weights"):
            weights = gg.softmax((q @ gg.swapaxes(k, -1, -2)) * x.shape[-1] ** -0.5)
        return x + self.out(weights @ v)


def attention() -> gg.Tensor:
    """The loss of an attention block that shall give back the six tokens before."""
    values = np.random.default_rng(0).normal(size=(2, 7, 8)).astype(np.float32)
    tokens = gg.Tensor(values[:, 1:], requires_grad=True, name="tokens")
    return gg.mse_loss(Attention(8)(tokens), values[:, :-1])


def chapter(x: Any, w1: Any, w2: Any, pool: int = 1) -> Any:
    """The simple CNN of the chapter, section 7.4; the loss for the truth 1.

    Args:
        x, w1, w2: a signal (1, n, 1), one filter (k, 1, 1), weights of the fully connected layer.
        pool: size of the windows of a max pooling before that layer; 1 for none.
    """
    a1 = gg.relu(gg.conv(x, w1, padding=w1.shape[0] // 2))
    a1 = gg.max_pool(a1, pool) if pool > 1 else a1
    return gg.squared_loss(gg.reshape(a1, -1) @ w2, np.float64(1.0))


def chapter_inputs(n: int = 5) -> list[gg.Tensor]:
    """X, W¹ and W² for `chapter`, small enough to follow by hand; W² has n numbers."""
    x = np.array([1.0, 2.0, -1.0, 0.5, 1.0]).reshape(1, 5, 1)
    w1 = np.array([0.5, -1.0, 1.0]).reshape(3, 1, 1)
    w2 = np.array([1.0, -2.0, 0.5, 1.0, 2.0][:n])
    weights = zip((w1, w2), ("W1", "W2"), strict=True)
    return [
        gg.Tensor(x, name="X"),
        *(gg.Tensor(w, requires_grad=True, name=name) for w, name in weights),
    ]


LOSSES: dict[str, Callable[[], gg.Tensor]] = {
    "lenet": lenet,
    "vanishing": lambda: lenet(head=nn.Sigmoid, small=0.3),
    "dead": overstepped,
    "vgg": vgg,
    "resnet": resnet,
    "resnet50": resnet50,
    "unet": unet,
    "attention": attention,
    "chapter": lambda: chapter(*chapter_inputs()),
}
