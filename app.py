"""Starts the page: `python app.py`."""

import argparse
import logging
import os
import sys
from importlib.util import find_spec

# Threads that wait for each other by spinning are up to a hundred times slower than one where there is other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    import spaces  # on a ZeroGPU Space; it has to come before anything that might start CUDA
except ImportError:
    spaces = None

from restoration import catalog, cleaning, limits, memory, precision, recording
from restoration.running import gpu_seconds, use_gpu

try:
    from gradio import Blocks

    from restoration.page.doors import guard
    from restoration.page.layout import build
    from restoration.page.server import SESSIONS, rule
    from restoration.page.theme import HEAD, THEME
except ValueError:  # gradio reads the environment when it is imported
    if not (sentence := limits.complaint()):
        raise
    sys.exit(sentence)

if spaces:
    use_gpu(spaces.GPU(duration=gpu_seconds))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python app.py", description="Start the page.")
    parser.add_argument("--share", action="store_true", help="also at a public gradio.live address for a while")
    parser.add_argument("--mcp", action="store_true", help="also as an MCP server; needs mcp<2")
    parser.add_argument("--precision", choices=precision.CHOICES, help="of the models; fp32 is slower, not better")
    parser.add_argument("--public", action="store_true", help="for strangers: with the limits that a Space has")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="that a run may take; 120 for strangers")
    arguments = parser.parse_args(argv)
    if arguments.mcp and find_spec("mcp") is None:
        parser.error("--mcp needs the package mcp: pip install 'mcp<2'")
    if sentence := limits.complaint():
        sys.exit(sentence)
    if arguments.precision:
        precision.choose(arguments.precision)
    try:
        precision.choice()
        limits.put_in_force(limits.chosen(arguments.public, arguments.deadline, tunnel=arguments.share))
        cleaner = cleaning.prepare()
    except ValueError as error:
        sys.exit(str(error))
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(level=logging.WARNING)
    memory.keep()
    catalog.prepare()
    for sentence in catalog.warnings():
        logging.warning(sentence)
    recording.open_records()
    page = build()
    cleaner.start(lambda: {file for block in page.blocks.values() for file in block.keep_in_cache})
    guard(arguments.mcp)
    page.queue(api_open=False)  # past the queue only what does not queue, such as Cancel
    try:
        start(page, arguments)
    except OSError as error:  # the port is taken, or no address of this machine
        sys.exit(f"The server cannot start: {error}")
    recording.kept().close()


def start(page: Blocks, arguments: argparse.Namespace) -> None:
    """Serve the page until it is interrupted."""
    page.launch(
        share=arguments.share,
        mcp_server=arguments.mcp,
        max_file_size=limits.REQUEST_BYTES,
        state_session_capacity=SESSIONS,
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        footer_links=["api"],
        head=HEAD,
        theme=THEME,
        app_kwargs=rule(page, limits.in_force(), arguments.mcp),
    )


if __name__ == "__main__":
    main()
