"""What the JAX and the PyTorch contender share: the numbers of the nets and the protocol of a contender.

The numbers are those of step.go, bit for bit."""

import resource
import sys
import time

import numpy as np

BATCH, INPUTS, WIDTH, DEPTH, OUTPUTS, BATCHES, RATE = 256, 784, 64, 10, 10, 8, 0.01


def uniform(stream, shape, low, high):
    i = np.arange(np.prod(shape), dtype=np.uint32)
    with np.errstate(over="ignore"):
        h = (i + np.uint32(1)) * np.uint32(2654435761) + np.uint32(stream) * np.uint32(40503)
        h ^= h >> np.uint32(16)
        h *= np.uint32(2246822519)
        h ^= h >> np.uint32(13)
        h *= np.uint32(3266489917)
        h ^= h >> np.uint32(16)
    return (low + (high - low) * (h.astype(np.float64) / 2.0**32)).astype(np.float32).reshape(shape)


def batches():
    """The data: (x [256, 784], labels [256])."""
    return [
        (uniform(2000 + i, (BATCH, INPUTS), 0, 1), uniform(1000 + i, (BATCH,), 0, OUTPUTS).astype(np.int32))
        for i in range(BATCHES)
    ]


def parameters():
    """Pairs of weights [in, out] and biases [out], from the input on."""
    sizes = [INPUTS] + [WIDTH] * DEPTH + [OUTPUTS]
    pairs = []
    for l, (n, m) in enumerate(zip(sizes, sizes[1:])):
        a = np.sqrt(6 / n)
        pairs.append((uniform(l, (n, m), -a, a), np.zeros(m, np.float32)))
    return pairs


def serve(steps):
    """Answers each line "N" with the wall and CPU nanoseconds of steps(N) and the loss that it returns."""
    for line in sys.stdin:
        n = int(line)
        before, cpu = time.perf_counter_ns(), cpu_ns()
        loss = steps(n)
        print(time.perf_counter_ns() - before, cpu_ns() - cpu, loss, flush=True)


def cpu_ns():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int((used.ru_utime + used.ru_stime) * 1e9)
