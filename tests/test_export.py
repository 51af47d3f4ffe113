"""Every network leaves PyTorch: by `torch.export`, and as ONNX, which ONNX Runtime computes alike."""

import warnings

import pytest
import torch

from restoration import catalog
from tests.conftest import narrow

pytestmark = pytest.mark.slow

NAMES = [  # of a bundled checkpoint of every architecture
    pytest.param(architecture.checkpoints[0].name, id=name) for name, architecture in catalog.architectures().items()
]


@pytest.fixture(params=NAMES)
def given(request) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """A network and what its `forward` takes."""
    model = narrow(request.param, blocks=1)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, model.channels, 16, 24, generator=generator)
    if model.task == "inpaint":
        mask = torch.zeros(1, 1, 16, 24)
        mask[..., 4:10, 6:12] = 1
        return model, (image * (1 - mask), mask)
    told = getattr(model, "takes_sigma", False) or getattr(model, "takes_quality", False)
    return model, (image, torch.full((1, 1, 16, 24), 0.1)) if told else (image,)


def _last(result: torch.Tensor | tuple) -> torch.Tensor:
    return result[-1] if isinstance(result, tuple | list) else result


@torch.no_grad()
def _exported(model: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, of its parts
        return torch.export.export(model, arguments)


@torch.no_grad()
def test_every_network_is_exported_and_computes_the_same(given):
    model, arguments = given
    program = _exported(model, arguments)
    expected = _last(model(*arguments))
    assert (_last(program.module()(*arguments)) - expected).abs().max() < 1e-5
    again = tuple(torch.rand(argument.shape).round() if index else argument for index, argument in enumerate(arguments))
    if model.task == "inpaint":  # of another hole, which nothing was decided by
        assert (_last(program.module()(*again)) - _last(model(*again))).abs().max() < 1e-4


@torch.no_grad()
def test_every_network_computes_the_same_in_onnx_runtime(given, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the test extra brings it")
    pytest.importorskip("onnxscript", reason="the test extra brings it")
    model, arguments = given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = model.task != "inpaint"  # the graphs of the others take PyTorch long to simplify
        program = torch.onnx.export(_exported(model, arguments), dynamo=True, verbose=False, optimize=small)
        program.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = {place.name: argument.numpy() for place, argument in zip(session.get_inputs(), arguments, strict=True)}
    result = torch.from_numpy(session.run(None, inputs)[-1])
    assert (result - _last(model(*arguments))).abs().max() < 1e-4
