"""The training step of the MLP in PyTorch, eager, with its SGD."""

import itertools
import sys

import torch

import contender

torch.set_num_threads(int(sys.argv[2]))
activation = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}[sys.argv[1]]

layers = []
for w, b in contender.parameters():
    layer = torch.nn.Linear(*w.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(w.T.copy()))
        layer.bias.copy_(torch.from_numpy(b))
    layers += [layer, activation()]
net = torch.nn.Sequential(*layers[:-1])
optimizer = torch.optim.SGD(net.parameters(), lr=contender.RATE)
criterion = torch.nn.CrossEntropyLoss()
data = itertools.cycle([(torch.from_numpy(x), torch.from_numpy(y).long()) for x, y in contender.batches()])


def steps(n):
    for _ in range(n):
        x, y = next(data)
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
    return loss.item()


contender.serve(steps)
