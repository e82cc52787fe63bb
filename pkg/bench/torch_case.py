"""A training step of a case in PyTorch, eager, with its SGD. torch_case.py FOLDER cpu|cuda THREADS"""

import itertools
import sys

import numpy as np
import torch
from torch import nn

import case
import contender

torch.set_num_threads(int(sys.argv[3]))
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # full float32, as elsewhere
torch.backends.cudnn.benchmark = True
c = case.Case(sys.argv[1])
device = torch.device(sys.argv[2])


def fill(parameter, values):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def linear(name):
    layer = nn.Linear(*c.weights[name + "/W"].shape)
    fill(layer.weight, c.weights[name + "/W"].T)
    fill(layer.bias, c.weights[name + "/b"])
    return layer


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for l in range(c.config["depth"]):
            layers += [linear(f"h{l + 1}"), nn.ReLU()]
        self.layers = nn.Sequential(*layers, linear("out"))

    def forward(self, x):
        return self.layers(x)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for name, n, m, stride in c.convolutions():
            conv = nn.Conv2d(n, m, 3, stride, padding=1, bias=False)
            fill(conv.weight, c.weights[name + "/W"].transpose(3, 2, 0, 1))
            self.convs.append(conv)
            self.norms.append(nn.BatchNorm2d(m))
        self.out = linear("out")

    def forward(self, x):
        h = torch.relu(self.norms[0](self.convs[0](x)))
        for i in range(1, len(self.convs), 2):
            conv = self.convs[i]
            z = torch.relu(self.norms[i](conv(h)))
            z = self.norms[i + 1](self.convs[i + 1](z))
            stride, more = conv.stride[0], conv.out_channels - conv.in_channels
            if more:
                h = nn.functional.pad(h[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, more))
            h = torch.relu(z + h)
        return self.out(h.mean((2, 3)))


class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(c.config["inputs"], c.config["hidden"], batch_first=True)
        i, f, o, g = np.split(np.arange(4 * c.config["hidden"]), 4)
        order = np.concatenate([i, f, g, o])  # as PyTorch has the gates
        fill(self.lstm.weight_ih_l0, c.weights["h/W"][:, order].T)
        fill(self.lstm.weight_hh_l0, c.weights["h/U"][:, order].T)
        fill(self.lstm.bias_ih_l0, c.weights["h/b"][order])
        nn.init.zeros_(self.lstm.bias_hh_l0).requires_grad_(False)  # one bias is enough
        self.out = linear("out")

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.out(h[0])


net = {"mlp": MLP, "convnet": ResNet, "recurrent": LSTM}[c.config["kind"]]().to(device)
optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=c.rate)
criterion = nn.CrossEntropyLoss()


def batch(x, y):
    if c.config["kind"] == "convnet":
        x = x.transpose(0, 3, 1, 2)  # channels first, as PyTorch has them
    return torch.from_numpy(np.ascontiguousarray(x)).to(device), torch.from_numpy(y).long().to(device)


data = itertools.cycle([batch(*b) for b in c.batches])


def steps(n):
    for _ in range(n):
        x, y = next(data)
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
    return loss.item()  # waits for the device


contender.serve(steps)
