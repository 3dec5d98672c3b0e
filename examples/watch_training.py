"""Stop training without labels: the separability of unlabelled rows reaches its plateau."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import spaceform as sf

digits, labels = load_digits(return_X_y=True)
X, y = torch.tensor(digits, dtype=torch.float32) / 16, torch.tensor(labels)
labelled, unlabelled = slice(0, 500), slice(500, 1000)

with torch.random.fork_rng():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.LayerNorm(32))
    head = nn.Linear(32, 10)
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)

monitor = sf.SeparabilityMonitor()
for epoch in range(1, 41):
    for rows in torch.arange(500).split(32):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(encoder(X[labelled][rows])), y[labelled][rows]).backward()
        optimizer.step()
    with torch.no_grad():
        state = monitor.update(encoder(X[unlabelled]).numpy())
        accuracy = (head(encoder(X[1000:])).argmax(1) == y[1000:]).float().mean()
    print(f"epoch {epoch:2}: score {state.smoothed:.3f}, accuracy {accuracy:.3f}")
    if state.stop:
        break
print(f"stopped after epoch {epoch}; keep epoch {monitor.best_epoch_}")
