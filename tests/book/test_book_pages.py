"""Every page of the built book, as a reader's browser sees it.

Run by `make pages` after `make book`.
"""

import re
import zipfile
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse
from urllib.request import url2pathname

import pytest
from browsing import (  # noqa: F401 (fixtures)
    HTML,
    WIDTHS,
    Visit,
    browser,
    built,
    every_page,
    pages,
    redirects,
    see,
    served,
    site,
)
from nbkit import chapters, template

import book

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module", params=list(WIDTHS))
def walk(request, browser, site):
    """What was seen of the whole book at one width."""
    return see(browser, site, pages(), request.param)


def outside(urls, site) -> list[str]:
    here = (f"{site}/", "data:", "blob:")
    return [url for url in urls if not url.startswith(here)]


#: what is seen of a page, and when it is a fault
FAULTS = {
    **dict.fromkeys(("said", "failed", "raw", "faulty"), bool),
    "wide": lambda pixels: pixels > 1,
    "images": lambda images: any(not (one[1] and one[2]) for one in images),
}


def faults(walk, key):
    return {name: seen[key] for name, seen in walk.items() if FAULTS[key](seen[key])}


@pytest.mark.parametrize("key", FAULTS)
def test_pages_are_silent_whole_as_wide_as_the_window_and_described(walk, key):
    assert not faults(walk, key)


def test_pages_ask_no_other_server_and_have_one_title(walk, site):
    assert not outside([url for seen in walk.values() for url in seen["asked"]], site)
    written = {n: x for n, x in walk.items() if n.startswith(("book/", "notebooks/"))}
    assert {seen["heads"] for seen in written.values()} == {1}


def test_internal_links_lead_somewhere(walk, site):
    dead = set()
    for name, seen in walk.items():
        for link in seen["links"]:
            where, anchor = urldefrag(link)
            target = unquote(urlparse(where).path).lstrip("/") or "index.html"
            target = redirects().get(target, target)
            alive = (HTML / target).is_file()
            if target in walk and anchor:
                alive = unquote(anchor) in walk[target]["ids"]
            if link.startswith(site) and not alive:
                dead.add(f"{name} -> {target}#{anchor}")
    assert not dead


def test_colab_links_are_well_formed(walk):
    for path in chapters():
        own = template.colab_url(path.name)
        assert own in walk[f"notebooks/{path.stem}.html"]["links"]
    right = {template.colab_url(path.name) for path in chapters()}
    right.add("https://colab.research.google.com/")
    links = {link.split("#")[0] for seen in walk.values() for link in seen["links"]}
    assert {link for link in links if "colab.research" in link} <= right


def test_the_first_page_leads_into_the_book(walk):
    assert redirects()["index.html"] == "book/intro.html"
    assert set(redirects().values()) <= set(walk)


def test_links_to_the_source_name_one_repository(walk):
    url, _ = template.repository()
    owner = url.removesuffix(url.rpartition("/")[2])
    links = {link for seen in walk.values() for link in seen["links"]}
    for link in links:
        assert not link.startswith(owner) or f"{link}/".startswith(f"{url}/")


@pytest.mark.parametrize("size", WIDTHS)
def test_dark_pages_are_dark_silent_and_as_wide(browser, site, size):
    walk = see(browser, site, pages(), size, "dark")
    assert not faults(walk, "said") | faults(walk, "wide")
    assert {seen["theme"] for seen in walk.values()} == {"dark"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser, site, scheme):
    """Contrast of at least 4.5 for what our style sheets colour."""
    names = ["book/intro.html", "book/claims.html", "book/explorer.html"]
    with browser.new_context(color_scheme=scheme) as window:
        pages = [Visit(window, site, name).page for name in names]
        seen = [one for page in pages for one in page.evaluate(CONTRAST)]
    assert len(seen) > 10
    assert not [one for one in seen if one[1] < 4.5]


#: [what, contrast] of coloured words, as WCAG 2 reckons it
CONTRAST = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parts(c).length < 4 || parts(c)[3] > 0.99) return c;
    }
    return document.documentElement.dataset.theme === 'dark'
      ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll(
    '.verdict, .finding p, .door, .door .sd-card-title, .ex-mark,'
    + ' .ex-place, .ex-sentence, .ex-buttons button, article p,'
    + ' article a:not(.headerlink):not(.sd-stretched-link)'
  )].filter(e => e.offsetParent && e.innerText.trim()).map(e => {
    const pair = [getComputedStyle(e).color, behind(e)].map(light);
    const [low, high] = pair.sort((a, b) => a - b);
    return [e.className + ': ' + e.innerText.slice(0, 30),
            (high + 0.05) / (low + 0.05)];
  });
}"""


BAD_PAGE = """<!doctype html><title>bad</title><article>
<h1>One</h1><h1>Two</h1><div style="width:2000px">wide</div>
<span class="math">\\(x^2\\)</span><img src="gone.png">
<img src="http://localhost:1/x.png" alt="elsewhere"></article>
<script>console.error("first"); undefined_function()</script>"""


def test_a_bad_page_would_be_found(browser, tmp_path):
    (tmp_path / "bad.html").write_text(BAD_PAGE)
    with served(tmp_path) as site:
        seen = see(browser, site, ["bad.html"], "phone")["bad.html"]
        assert outside(seen["asked"], site) == ["http://localhost:1/x.png"]
    assert any("first" in said for said in seen["said"])
    assert any("undefined_function" in said for said in seen["said"])
    assert any("gone.png" in url for url in seen["failed"])
    assert (seen["raw"], seen["heads"]) == (1, 2) and seen["wide"] > 1000
    assert [image[1:] for image in seen["images"]] == [[False, False], [True, False]]


def test_scripts_name_no_other_server(built):
    """Nothing waits in a page to be loaded later, either."""
    tag = r"<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)=[\"']([^\"']+)"
    for name in every_page():
        text = (built / name).read_text(encoding="utf-8")
        assert "unpkg.com" not in text, name
        for found in re.findall(tag, text, re.IGNORECASE):
            url = urlparse(urljoin(f"http://here/{name}", found))
            assert url.scheme == "data" or url.hostname == "here", (name, found)


def test_the_unpacked_book_needs_no_server(browser, built, tmp_path):
    book.pack(built, tmp_path / "book.zip")
    with zipfile.ZipFile(tmp_path / "book.zip") as packed:
        packed.extractall(tmp_path)
    window = browser.new_context()
    home, said = (tmp_path / "book").as_uri(), []
    visit = Visit(window, home, "book/glossary.html")
    page = visit.page
    page.on("console", lambda m: m.type == "error" and said.append(m.text))
    page.on("pageerror", lambda e: said.append(str(e)))
    page.goto(f"{home}/index.html", wait_until="load")
    page.wait_for_url("**/book/intro.html")
    page.goto(f"{home}/notebooks/02_amfmn.html", wait_until="load")
    page.evaluate("() => MathJax.startup.promise")
    assert page.locator("mjx-container").count() > 10
    page.goto(f"{home}/book/explorer.html", wait_until="load")
    assert page.locator(".ex-system").count() >= 1
    assert page.locator(".ex-tile").count() >= 10
    # the first page may leave for the next before its icon has come
    paths = (Path(url2pathname(urlparse(url).path)) for url in visit.failed)
    assert said == [] and all(path.is_file() for path in paths)
    # titles are found; excerpts a browser keeps from pages on a disk
    page.goto(f"{home}/search.html?q=margin", wait_until="load")
    page.locator("#search-results li a").first.wait_for()
    assert all(url.startswith(("file:", "data:")) for url in visit.asked)
    window.close()
