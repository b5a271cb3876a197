"""Bytes of the tensors on the meta device that live at the same time."""

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(compute: Callable[[], object]) -> int:
    """The most bytes of tensors that are made on the way and alive at once."""
    with Living() as living:
        compute()
    return living.peak


class Living(TorchDispatchMode):
    """Counts the bytes of tensors that are made inside the block and still alive, and their largest sum."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {id(s) for s in map(_storage, tree_leaves((args, kwargs))) if s is not None}
        out = func(*args, **(kwargs or {}))
        for storage in map(_storage, tree_leaves(out)):
            if storage is not None and id(storage) not in before and storage not in self.known:
                self._count(storage)
        return out

    def _count(self, storage: Any) -> None:
        size = storage.nbytes()
        self.known.add(storage)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size


def _storage(value: object) -> Any:
    return value.untyped_storage() if isinstance(value, Tensor) and value.device.type == "meta" else None
