"""Lines to copy: how a method is used from Python, by Gradio's clients and by curl."""

import gradio as gr

from restoration import catalog, tasks, weights
from restoration.catalog import Method
from restoration.page.doors import API
from restoration.tasks._task import Task

HERE = "http://127.0.0.1:7860"


def snippets(name: str | None, request: gr.Request | None = None) -> tuple[str, str, str, str]:
    """How to use a method from Python, from gradio_client, curl and JavaScript.

    Args:
        name: "task/method", None where all are off.
        request: tells the address of the page.
    """
    if not name:
        return ("",) * 4
    kind, method = tasks.named(name.partition("/")[0]), catalog.method(*name.split("/"))
    base = str(request.request.base_url).rstrip("/") if request else HERE
    return (
        with_weights(kind, method) if method.learned else without_weights(kind, method),
        by_client(kind, method, base),
        by_curl(kind, method, base),
        by_javascript(kind, method, base),
    )


def with_weights(kind: Task, method: Method) -> str:
    owner = weights.namespace()
    source = f"{owner}/{method.name}" if owner else method.name
    hint = "or add @revision" if owner else f'or "user/{method.name}@revision" on the Hub'
    return (
        "from restoration import load, read\n\n"
        f'model = load("{source}")  # {hint}, or a folder\n'
        'image = read("photo.jpg").bytes(model.channels)[None] / 255  # (1, C, H, W) float32 in [0, 1]\n'
        + ('mask = read("mask.png").tensor().round()  # (1, 1, H, W), 1 = missing\n' if kind.holes else "")
        + f"restored = model.restore({'image, mask' if kind.holes else 'image'})\n"
    )


def without_weights(kind: Task, method: Method) -> str:
    mask = ', mask="mask.png"' if kind.holes else ""
    return (
        "from restoration import restore, write\n\n"
        f'restored = restore("photo.jpg", "{kind.name}", "{method.name}"{mask})\n'
        'write(restored, "restored.png")\n'
    )


def by_client(kind: Task, method: Method, base: str) -> str:
    return (
        "from gradio_client import Client, handle_file\n\n"
        f'client = Client("{base}")\n'
        'path, report = client.predict(\n    image=handle_file("photo.jpg"),\n'
        + ('    mask=handle_file("mask.png"),\n' if kind.holes else "")
        + f'    model="{method.name}",\n    api_name="/{kind.name}",\n)\n'
        'print(report["metrics"], path)\n'
    )


def by_curl(kind: Task, method: Method, base: str) -> str:
    files = {"IMAGE": "photo.jpg", **({"MASK": "mask.png"} if kind.holes else {})}
    sent = [f'"{name.lower()}": \'"$(upload "${name}")"\'' for name in files]
    body = ", ".join([*sent, f'"model": "{method.name}"'])
    return (
        "".join(f'{name}="{file}"\n' for name, file in files.items())
        + f"API={base}{API}\n"
        + """upload() { curl -s -F "files=@\\"$1\\"" $API/upload | sed 's/^\\[//; s/\\]$//'; }\n"""
        + f"CALL=$(curl -s $API/call/v2/{kind.name} -H 'Content-Type: application/json' \\\n"
        + f"  -d '{{{body}}}')\n"
        + """EVENT=$(echo "$CALL" | cut -d'"' -f4)\n"""
        + f"ANSWER=$(curl -sN \"$API/call/{kind.name}/$EVENT\" | grep '^data: ' | tail -n 1)\n"
        + """URL=$(echo "$ANSWER" | grep -o '"url": *"[^"]*"' | head -n 1 | cut -d'"' -f4)\n"""
        + 'curl -sf -o restored.png "$URL" && echo restored.png || echo "$CALL" "$ANSWER"\n'
    )


def by_javascript(kind: Task, method: Method, base: str) -> str:
    return (
        'import { Client, handle_file } from "@gradio/client";\n\n'
        f'const app = await Client.connect("{base}");\n'
        f'const answer = await app.predict("/{kind.name}", {{\n  image: handle_file("photo.jpg"),\n'
        + ('  mask: handle_file("mask.png"),\n' if kind.holes else "")
        + f'  model: "{method.name}",\n}});\nconst [file, report] = answer.data;\n'
        "console.log(report.metrics, file.url);\n"
        "globalThis.process?.exit(); // Gradio's heartbeat would keep Node waiting\n"
    )
