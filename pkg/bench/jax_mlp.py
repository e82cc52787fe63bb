"""The training step of the MLP in JAX: one jitted function that updates donated parameters."""

import functools
import itertools
import sys

import jax
import jax.numpy as jnp

import contender

activation = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[sys.argv[1]]


def loss(parameters, x, y):
    h = x
    for w, b in parameters[:-1]:
        h = activation(h @ w + b)
    w, b = parameters[-1]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(h @ w + b), y[:, None], axis=1))


@functools.partial(jax.jit, donate_argnums=0)
def step(parameters, x, y):
    value, gradients = jax.value_and_grad(loss)(parameters, x, y)
    return jax.tree.map(lambda p, g: p - contender.RATE * g, parameters, gradients), value


parameters = jax.device_put(contender.parameters())
data = itertools.cycle([jax.device_put(b) for b in contender.batches()])


def steps(n):
    global parameters
    for _ in range(n):
        parameters, value = step(parameters, *next(data))
    jax.block_until_ready(parameters)
    return float(value)


contender.serve(steps)
