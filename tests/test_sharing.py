"""The card that other sites show of a link to the page."""

import urllib.request
from html.parser import HTMLParser

import pytest

from restoration.files import read
from restoration.page.sharing import ABOUT, LINE, address_of, with_card

GRADIO = b"""<html><head>\n<meta\n  property="og:title"\n  content="Gradio" /><meta name="twitter:card" content="x" />
<meta name="viewport" content="w" /></head><body>og:title</body></html>"""


class Metas(HTMLParser):
    """What the head says, by name."""

    def __init__(self, page: str):
        super().__init__()
        self.told = {}
        self.twice = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = attributes.get("property") or attributes.get("name")
        if tag == "meta" and name:
            self.twice += [name] if name in self.told else []
            self.told[name] = attributes["content"]


def test_the_card_takes_the_place_of_gradios_and_leaves_the_rest():
    page = with_card(GRADIO, "https://a.example", "tab=denoise&__theme=dark&x=%22%3E<b>").decode()
    metas = Metas(page)
    assert not metas.twice
    assert metas.told["og:title"] == "Image restoration"
    assert metas.told["og:url"] == "https://a.example/?tab=denoise&x=%22%3E<b>"
    assert "<b>" not in page
    assert metas.told["viewport"] == "w"
    assert page.endswith("<body>og:title</body></html>")


@pytest.mark.parametrize(
    "headers, address",
    [
        ({"host": "127.0.0.1:7860"}, "http://127.0.0.1:7860"),
        ({"host": "inner", "x-forwarded-host": "a.hf.space", "x-forwarded-proto": "https,http"}, "https://a.hf.space"),
    ],
)
def test_its_address_is_the_one_that_visitors_see(headers, address):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert address_of({"type": "http", "scheme": "http", "headers": raw}) == address


def test_a_shared_link_shows_a_title_a_line_and_a_picture_that_loads(server):
    link = f"{server}/?tab=upscale&scale=4"
    with urllib.request.urlopen(link) as answer:
        metas = Metas(answer.read().decode())
    assert not metas.twice
    assert metas.told["og:description"] == LINE
    assert metas.told["og:image:alt"] == ABOUT
    assert metas.told["og:url"] == link
    with urllib.request.urlopen(metas.told["og:image"]) as answer:
        assert answer.headers["content-type"] == "image/jpeg"
        picture = read(answer.read())
    assert picture.width >= 600 and 1.85 < picture.width / picture.height < 1.95
    assert not any("gradio" in value.lower() for value in metas.told.values())
