"""How the page looks, and what it says first."""

from pathlib import Path

import gradio as gr

import restoration
from restoration.limits import REQUEST_BYTES

THEME = gr.themes.Default(
    primary_hue="indigo", neutral_hue="slate", radius_size="lg", font=["system-ui", "sans-serif"]
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    body_text_color_subdued="*neutral_500",
    color_accent="*primary_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)
CSS = """
footer { margin-top: 1rem; }
body.dark.dark.dark { --color-accent: var(--primary-400); }
:root:not(.dark) .cm-line span { color: inherit !important; }
.onward { align-items: center; flex-wrap: wrap; }
.onward > .block, .onward > .line { flex: 0 0 auto !important; min-width: 0 !important; width: auto !important; }
.line p { margin: 0.2rem 0; }
.step { padding-top: 0.4rem !important; padding-bottom: 0.4rem !important; }
.intro h1 { margin: 0; font-size: 1.5rem; }
.intro p { margin: 0.2rem 0; }
.status { min-height: 3.2rem; }
.result:has(.status .progress-text) :is([id$="-download"], [id$="-receipt"]) { opacity: 0.4; }
.work, .work > div { gap: 0.6rem !important; }
.compare { height: 496px !important; padding-bottom: 53px !important; }
.compare > .compare-bar { position: absolute; inset: auto 0 0 0; }
@media (max-width: 760px) {
  .compare { height: 430px !important; }
}
.picture:has(.paint) .block[id$="-input"]:has(.image-frame), .picture:has(.coming[data-on]) .block[id$="-input"] {
  height: 104px !important;
}
.picture:has(.paint) .block[id$="-input"]:has(.image-frame) .source-selection,
.picture:has(.coming[data-on]) .block[id$="-input"] .source-selection { display: none !important; }
.picture:has(.coming[data-on]) .block[id$="-input"] button.upload-container > * { visibility: hidden; }
.picture { --canvas: clamp(340px, 43vh, 760px); }
.paint { height: var(--canvas) !important; margin-bottom: 44px !important; }
.block.coming { display: none !important; }
.block.coming[data-on] {
  display: grid !important; place-items: center; flex: none; z-index: 11;
  height: var(--canvas); margin-bottom: 44px !important;
  background: var(--block-background-fill) !important; border: 1px solid var(--border-color-primary) !important;
  border-radius: var(--block-radius);
}
.picture:has(.paint) .block.coming[data-on] { margin-bottom: calc(-1 * var(--canvas) - 0.6rem) !important; }
.block.coming::before {
  content: ""; position: absolute; inset: 8% 7%; background: var(--picture) center / contain no-repeat; opacity: 0.4;
}
.block.coming p {
  position: relative; padding: 0.2rem 0.7rem !important; margin: 0; border-radius: var(--radius-lg);
  background: var(--block-background-fill);
}
.paint-bar {
  position: absolute; inset: 100% 0 auto 0; height: 43px; padding: 0 12px;
  display: flex; align-items: center; gap: 12px;
  border-top: 1px solid var(--border-color-primary); font-size: 14px; color: var(--body-text-color);
  background: var(--block-background-fill); border-radius: 0 0 var(--block-radius) var(--block-radius); z-index: 10;
}
.paint-bar label { display: flex; align-items: center; gap: 8px; flex: 1; max-width: 26rem; }
.paint-bar input { flex: 1; min-width: 4rem; accent-color: var(--primary-600); }
.paint-bar span { white-space: nowrap; }
.paint-bar output { min-width: 2rem; font-variant-numeric: tabular-nums; }
.paint .size_picker, .paint [aria-label="Brush Size"], .paint [aria-label="Eraser Size"] { display: none !important; }
gradio-app, .gradio-container { min-height: 100vh; width: 100% !important; }
.step .wrap { gap: 0.3rem; }
.step .wrap label { padding: 0.3rem 0.6rem; }
.facts { min-height: 2.9rem; }
.takes { min-height: 1.4rem; }
.advice { min-height: 7.2rem; }
.work {
  display: grid !important; grid-template: "picture result" auto "settings result" 1fr / 1fr 1fr;
  align-items: start;
}
.work > .picture { grid-area: picture; }
.work > .result { grid-area: result; }
.work > .settings { grid-area: settings; }
@media (max-width: 760px) {
  .facts { min-height: 4.4rem; }
  .takes { min-height: 2.9rem; }
  .advice { min-height: 10rem; }
  .work { grid-template: "picture" auto "result" auto "settings" auto / 100%; }
}
.gradio-container { max-width: none !important; }
.gradio-container .contain { max-width: 1680px; width: 100%; margin: 0 auto; }
#models-table td, #models-table th { font-family: inherit; font-size: 0.85rem; }
.clean .gallery-item { width: 60px; height: 60px; }
.examples .grid-wrap, .bakery .grid-wrap {
  height: auto !important; min-height: 0 !important; max-height: none !important;
}
.examples .gallery-container, .bakery .gallery-container { height: auto !important; min-height: 0 !important; }
.examples .grid-container { gap: 0.5rem; grid-template-columns: repeat(auto-fill, minmax(5.9rem, 1fr)) !important; }
.bakery .grid-container { gap: 0.5rem; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)) !important; }
.bakery .caption-label { font-size: 0.7rem; padding: 0 0.3rem; left: 0; max-width: 100%; }
.examples .grid-container .caption-label {
  font-size: 0.7rem; line-height: 1.2; padding: 0.05rem 0.3rem; bottom: 0; left: 0; right: 0; max-width: 100%;
  white-space: normal; overflow-wrap: anywhere; text-align: center; border-radius: 0;
}
@media (max-width: 480px) {
  .tab-container button { padding: 0 0.25rem !important; font-size: 0.85rem !important; }
  .onward { row-gap: 0; }
  .onward > .block, .onward > .line { flex-basis: 100% !important; }
}
"""
TITLE = "Image restoration"
INTRO = f"""# {TITLE}
Cleans photos and scans of noise and JPEG artifacts, enlarges them and fills holes; bit depth, transparency and colours
stay. Your files, of up to {REQUEST_BYTES >> 20} MB each, are deleted within 30 minutes.
"""

ASSETS = Path(restoration.__file__).parent / "assets"
HEAD = f"<style>{CSS}</style>" + "".join(
    f"<{tag}>{(ASSETS / name).read_text(encoding='utf-8')}</{tag}>"
    for tag, name in (
        ("style", "compare.css"),
        ("script", "changes.js"),
        ("script", "compare.js"),
        ("script", "uploads.js"),
        ("script", "turns.js"),
        ("script", "clicks.js"),
        ("script", "access.js"),
        ("script", "paint.js"),
        ("script", "coming.js"),
    )
)
