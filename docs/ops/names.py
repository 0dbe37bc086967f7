"""What is called otherwise in numpy or PyTorch, for those who come from there."""

NAMES = {
    "`x[i] = v`, `np.put`, `index_put`": "`gg.put(x, i, v)`, a changed copy",
    "`np.add.at`, `scatter_add`, `index_add`": "`gg.put(x, i, v, add=True)`",
    "`torch.gather`": "`gg.take_along_axis(x, indices, axis)`",
    "`masked_fill`": "`gg.where(mask, value, x)`",
    "`topk(largest=False)`": "`-gg.topk(-x, k)[0]`",
    "`dim=`, `keepdim=`": "`axis=`, `keepdims=`",
    "`view`, `permute`, `unsqueeze`, `expand`": (
        "`x.reshape`, `x.transpose`, `gg.expand_dims`, `gg.broadcast_to`"
    ),
    "`torch.cat`, `clamp`": "`gg.concatenate`, `gg.clip`",
    "`scaled_dot_product_attention(is_causal=True)`": "`gg.attention(q, k, v, causal=True)`",
    "`F.embedding(indices, weight)`": "`gg.embedding(indices, table)`",
    "`F.one_hot(indices, num_classes)`": "`gg.one_hot(indices, classes)`, floats",
    "`F.cross_entropy` of (N, C, H, W)": "`gg.cross_entropy` of (N, H, W, C): classes are last",
    "`F.conv2d`, `F.conv_transpose2d`": (
        "`gg.conv`, `gg.conv_transpose`: channels last, any number of spatial axes"
    ),
    "`F.interpolate`": "`gg.resize`",
    "`F.batch_norm(x, mean, var, weight, bias)`": (
        "`gg.batch_norm(x, gamma, beta, running_mean=mean, running_var=var)`, training by default"
    ),
    "`F.dropout(x, p)`, `F.dropout2d`": (
        "`gg.dropout(x, rate, rng=generator)`, `gg.channel_dropout`: the same seed drops the same"
    ),
    "`torch.linalg.solve`, `slogdet`, `cholesky`": "`gg.solve`, `gg.slogdet`, `gg.cholesky`",
    "`autograd.Function`": "`gg.custom`",
    "`utils.checkpoint.checkpoint(f, x)`": "`gg.checkpoint(f)(x)`",
    "`func.vmap(in_dims=0)`": "`gg.vmap(f, in_axes=0)`",
    "`func.grad`, `hessian`, `jvp`": "`gg.grad`, `gg.hessian`, `gg.jvp`",
    "`x // y`, `np.fmod`": "`gg.floor(x / y)`, `x - y * gg.trunc(x / y)`, where rounding allows",
}
