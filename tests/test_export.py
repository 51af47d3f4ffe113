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


Given = tuple[torch.nn.Module, tuple[torch.Tensor, ...], torch.export.ExportedProgram]


@pytest.fixture(scope="module", params=NAMES)
def given(request) -> Given:
    """A network, what its `forward` takes, and what `torch.export` makes of both."""
    model = narrow(request.param, blocks=1)
    arguments = _taken(model)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # PyTorch's own, of its parts
        return model, arguments, torch.export.export(model, arguments)


def _taken(model: torch.nn.Module) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, model.channels, 16, 24, generator=generator)
    if model.task == "inpaint":
        mask = torch.zeros(1, 1, 16, 24)
        mask[..., 4:10, 6:12] = 1
        return image * (1 - mask), mask
    told = getattr(model, "takes_sigma", False) or getattr(model, "takes_quality", False)
    return (image, torch.full((1, 1, 16, 24), 0.1)) if told else (image,)


def _last(result: torch.Tensor | tuple) -> torch.Tensor:
    return result[-1] if isinstance(result, tuple | list) else result


@torch.no_grad()
def test_every_network_is_exported_and_computes_the_same(given):
    model, arguments, program = given
    expected = _last(model(*arguments))
    assert (_last(program.module()(*arguments)) - expected).abs().max() < 1e-5
    again = tuple(torch.rand(argument.shape).round() if index else argument for index, argument in enumerate(arguments))
    if model.task == "inpaint":  # of another hole, which nothing was decided by
        assert (_last(program.module()(*again)) - _last(model(*again))).abs().max() < 1e-4


@torch.no_grad()
def test_every_network_computes_the_same_in_onnx_runtime(given, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the test extra brings it")
    pytest.importorskip("onnxscript", reason="the test extra brings it")
    model, arguments, exported = given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = model.task != "inpaint"  # the graphs of the others take PyTorch long to simplify
        onnx = torch.onnx.export(exported, dynamo=True, verbose=False, optimize=small)
        onnx.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = {place.name: argument.numpy() for place, argument in zip(session.get_inputs(), arguments, strict=True)}
    result = torch.from_numpy(session.run(None, inputs)[-1])
    assert (result - _last(model(*arguments))).abs().max() < 1e-4
