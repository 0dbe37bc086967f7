"""The chapter's simple CNN (section 7.4) on the engine, and its gradients by hand.

    python examples/tour_1d_cnn.py

    Z¹ = one filter W¹ slid over the zero-padded signal X     conv, no bias
    A¹ = ReLU(Z¹)
    A² = W²ᵀ A¹                                                fc, no bias
    loss = (A² - y)²

The chapter multiplies ∂Z¹/∂W¹, ∂A¹/∂Z¹ and ∂loss/∂A¹. Here the three matrices are built as it
describes them, and their product is compared with what one reverse sweep gives.
"""

import numpy as np

import gradgraph as gg

N, K = 10, 3


def main():
    rng = np.random.default_rng(0)
    signal, truth = rng.normal(size=N), 1.5
    w1 = gg.Tensor(rng.normal(size=(K, 1, 1)), requires_grad=True, name="W1")
    w2 = gg.Tensor(rng.normal(size=(N, 1)), requires_grad=True, name="W2")

    z1 = gg.conv(signal.reshape(1, N, 1), w1, padding=K // 2)
    a1 = gg.relu(z1)
    a2 = a1.reshape(1, N) @ w2
    loss = gg.squared_loss(a2, [[truth]])
    loss.backward()
    print("graph:", " → ".join(step.op.name for step in gg.Graph.of(loss).steps))
    print(f"A² = {a2.item():.4f}, y = {truth}, loss = {loss.item():.4f}")

    padded = np.pad(signal, K // 2)
    dz1_dw1 = np.array(
        [padded[j : j + N] for j in range(K)]
    )  # k×n: entry (j, i) is X_{i-⌊k/2⌋+j-1}
    z = dz1_dw1.T @ w1.numpy().ravel()
    da1_dz1 = np.diag((z > 0).astype(float))  # n×n
    a = np.maximum(z, 0)
    error = a @ w2.numpy().ravel() - truth
    dloss_da1 = 2 * error * w2.numpy()  # n×1

    by_hand = {
        "W1": dz1_dw1 @ da1_dz1 @ dloss_da1,
        "W2": 2 * error * a[:, None],
    }
    for w in (w1, w2):
        engine, matrix = w.grad.numpy().ravel(), by_hand[w.name].ravel()
        print(f"∂loss/∂{w.name} by one reverse sweep:     {np.round(engine[:3], 6)}")
        print(f"∂loss/∂{w.name} by the chapter's product: {np.round(matrix[:3], 6)}")
        print(f"greatest difference: {np.abs(engine - matrix).max():.0e}")
        assert np.allclose(engine, matrix, rtol=1e-12, atol=1e-12)


if __name__ == "__main__":
    main()
