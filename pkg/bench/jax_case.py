"""A training step of a case in JAX: one jitted function that updates donated parameters. jax_case.py FOLDER cpu|cuda"""

import functools
import itertools
import sys

import jax
import jax.numpy as jnp

import case
import contender

jax.config.update("jax_default_matmul_precision", "highest")  # full float32, as elsewhere: the default on a GPU is TF32
c = case.Case(sys.argv[1])
device = jax.devices(sys.argv[2])[0]


def mlp(p, x):
    for l in range(c.config["depth"]):
        x = jax.nn.relu(x @ p[f"h{l + 1}/W"] + p[f"h{l + 1}/b"])
    return x


def resnet(p, x):
    def norm(name, z):
        mean, variance = z.mean((0, 1, 2)), z.var((0, 1, 2))
        return (z - mean) * jax.lax.rsqrt(variance + 1e-5) * p[name + "/norm/scale"] + p[name + "/norm/offset"]

    def conv(name, x, stride):
        z = jax.lax.conv_general_dilated(x, p[name + "/W"], (stride, stride), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return norm(name, z)

    layers = c.convolutions()
    h = jax.nn.relu(conv(layers[0][0], x, 1))
    for (first, n, m, stride), (second, _, _, _) in zip(layers[1::2], layers[2::2]):
        z = conv(second, jax.nn.relu(conv(first, h, stride)), 1)
        skip = jnp.pad(h[:, ::stride, ::stride], [(0, 0), (0, 0), (0, 0), (0, m - n)])
        h = jax.nn.relu(z + skip)
    return h.mean((1, 2))


def lstm(p, x):
    def step(state, fed):
        h, cell = state
        i, f, o, g = jnp.split(fed + h @ p["h/U"], 4, axis=1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

    fed = jnp.swapaxes(x, 0, 1) @ p["h/W"] + p["h/b"]
    zero = jnp.zeros((x.shape[0], c.config["hidden"]), x.dtype)
    (h, _), _ = jax.lax.scan(step, (zero, zero), fed)
    return h


body = {"mlp": mlp, "convnet": resnet, "recurrent": lstm}[c.config["kind"]]


def loss(p, x, y):
    logits = body(p, x) @ p["out/W"] + p["out/b"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


@functools.partial(jax.jit, donate_argnums=0)
def step(p, x, y):
    value, gradients = jax.value_and_grad(loss)(p, x, y)
    return jax.tree.map(lambda p, g: p - c.rate * g, p, gradients), value


running = ("/norm/mean", "/norm/variance", "/norm/steps")
parameters = jax.device_put({name: w for name, w in c.weights.items() if not name.endswith(running)}, device)
data = itertools.cycle([jax.device_put(b, device) for b in c.batches])


def steps(n):
    global parameters
    for _ in range(n):
        parameters, value = step(parameters, *next(data))
    jax.block_until_ready(parameters)
    return float(value)


contender.serve(steps)
