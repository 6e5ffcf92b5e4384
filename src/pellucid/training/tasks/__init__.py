"""Training tasks: the interface between the loop and a training objective.

To add a task, subclass `Task` and write a frozen dataclass of its options with a method `build()`:

    @dataclass(frozen=True)
    class MyOptions:                     # `TrainConfig.task`; its fields become command-line flags
        temperature: float = 0.1
        def build(self) -> MyTask: ...
        def datasets(self, config): ...  # optional: own training and validation data, instead of
                                         # what `TrainConfig.data` names

    class MyTask(Task):
        def forward(self, batch, generator): ...  # -> scalar loss, {"name": scalar} to be logged
        def validate(self, batch): ...   # -> {"name": (B,)}, pictures (B, 3, H, W) or None
        def trained(self): ...           # -> the module that an `init_from` bundle goes into
        def export(self): ...            # -> state dict, meta: what `save_bundle` writes

Rules that make resume exact and many processes work:

* Randomness comes from `generator` (on the task's device, seeded from seed, step, process and
  micro-batch) or from torch's global generator (seeded the same way); never from anything else.
* Trained are the parameters with `requires_grad`; freeze the others in `__init__`. Frozen ones are
  not in checkpoints: `build()` must bring them back from its options alone.
* No state besides parameters and buffers. The loop moves the module, wraps `forward` (autocast,
  DDP, FSDP), averages the weights, calls `begin` with the training data before the first step, and
  `after_step` when the weights have changed.
"""

from pellucid.training.tasks.base import Task

__all__ = ["Task"]
