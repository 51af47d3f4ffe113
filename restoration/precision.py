"""What models compute in here: half the bits where that is faster and costs no quality.

Graphics cards take fp16, whose overflow is computed again in fp32.  Processors with units for bf16 take that, for
models that were measured to lose next to nothing by it (`python -m train.bf16`); everything else is fp32.
"""

import os
from typing import Literal, get_args

import torch

from restoration.restorer import Restorer

Precision = Literal["fp32", "bf16", "fp16"]
Choice = Literal["auto", "fp32"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
VARIABLE = "RESTORATION_PRECISION"
LARGEST_LOSS = 0.02  # dB that a model may lose by bf16


def has_bf16() -> bool:
    """Whether there are units for bf16: a GPU's, or a processor's; elsewhere it is emulated, and slow."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return processor_has_bf16()


def processor_has_bf16() -> bool:
    """Whether the processor has units for bf16, whatever a GPU has."""
    known = getattr(torch.cpu, "get_capabilities", dict)()  # which older versions of torch cannot tell
    return any(known.get(flag, False) for flag in ("avx512_bf16", "amx_bf16"))


def choice() -> Choice:
    """What the environment's `RESTORATION_PRECISION` says, "auto" by default.

    Raises:
        ValueError: it is none of `CHOICES`.
    """
    chosen = os.environ.get(VARIABLE) or "auto"
    if chosen not in CHOICES:
        raise ValueError(f"{VARIABLE} is {' or '.join(CHOICES)}, not {chosen}.")
    return chosen


def choose(chosen: Choice) -> None:
    """Say it for this process and those that it starts."""
    os.environ[VARIABLE] = chosen


def precision_of(restorer: object) -> Precision:
    """What something that restores computes in."""
    if choice() == "fp32" or not isinstance(restorer, Restorer):
        return "fp32"
    if next(restorer.parameters()).is_cuda:
        return "fp16"
    loss = restorer.run.get("bf16_loss")
    return "bf16" if loss is not None and loss < LARGEST_LOSS and has_bf16() else "fp32"


def precision_of_prior() -> Precision:
    """What Deep Image Prior computes in: always on the processor, and its fits lose nothing by bf16."""
    return "bf16" if choice() == "auto" and processor_has_bf16() else "fp32"
