"""One word for one thing: parameter names that the public interface does not use, and the word to use instead."""

from __future__ import annotations

from collections.abc import Iterator

from architecture.modules import Function, Module, functions

INSTEAD = {
    "rng": "random_state (estimators and array functions) or generator (a torch.Generator)",
    "rand_state": "random_state",
    "random_seed": "random_state (estimators) or seed (training, claims)",
    "n_neighbors": "k",
    "n_neighbours": "k",
    "num_neighbors": "k",
    "topk": "k",
    "top_k": "k",
    "temp": "temperature",
    "tau": "temperature",
    "num_classes": "n_classes",
    "nb_classes": "n_classes",
    "n_class": "n_classes",
    "num_clusters": "n_clusters",
    "lr": "learning_rate",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "num_steps": "steps",
    "n_steps": "steps",
    "max_iters": "max_iter",
    "max_iterations": "max_iter",
    "bs": "batch_size",
    "batchsize": "batch_size",
    "embs": "embeddings",
    "feats": "embeddings",
    "ref": "reference",
    "ref_labels": "reference_labels",
    "ref_emb": "reference",
    "callback": "progress or callbacks",
    "verbose": "progress",
    "callback_fn": "progress",
    "similarity": "closeness",
    "dist": "distances",
    "cfg": "the options by name",
    "config": "the options by name",
    "params": "the options by name",
    "opts": "the options by name",
}

ESTIMATOR_METHODS = {"fit", "fit_predict", "fit_transform", "partial_fit"}


def foreign_words(module: Module) -> Iterator[str]:
    """Yield parameters of public functions and constructors that have another name in this library."""
    estimators = _estimators(module)
    for place, function, holder in functions(module):
        parts = place.split(".")
        hidden = any(part.startswith("_") and part != "__init__" and part != "__call__" for part in parts)
        if hidden or "<locals>" in parts:
            continue
        for name in _names(function):
            if name in INSTEAD:
                yield f"{module.name}:{function.lineno}: {place}({name}): say {INSTEAD[name]}"
            if name == "seed" and function.name == "__init__" and holder is not None and holder.name in estimators:
                yield f"{module.name}:{function.lineno}: {place}(seed): an estimator says random_state"


def _estimators(module: Module) -> set[str]:
    return {
        holder.name
        for _, function, holder in functions(module)
        if holder is not None and function.name in ESTIMATOR_METHODS
    }


def _names(function: Function) -> list[str]:
    arguments = function.args
    return [argument.arg for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
