"""A small CNN learns the 8×8 digits of scikit-learn in a few seconds.

python examples/train_digits_small.py
"""

import numpy as np

import gradgraph as gg
from gradgraph import data, nn, optim


def main():
    rng = np.random.default_rng(0)
    (images, labels), (test_images, test_labels) = data.split(*data.digits_8x8(), test=360, rng=rng)
    net = nn.Sequential(
        conv=nn.Conv(1, 16, 3, padding=1, rng=rng),
        relu=nn.ReLU(),
        pool=nn.MaxPool(2),
        flatten=nn.Flatten(),
        fc=nn.Linear(4 * 4 * 16, 10, rng=rng),
    )
    print(net)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(5):
        losses = []
        for x, y in data.batches(images, labels, size=32, rng=rng):
            optimizer.zero_grad()
            loss = gg.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}  loss {np.mean(losses):.4f}")

    with gg.no_grad():
        guesses = net(test_images).data.argmax(-1)
    print(f"test accuracy {np.mean(guesses == test_labels):.1%} on {len(test_labels)} digits")


if __name__ == "__main__":
    main()
