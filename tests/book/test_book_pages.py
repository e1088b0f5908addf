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


def undescribed(images) -> list:
    """Pictures without a description, or that are not there."""
    return [one for one in images if not (one[1] and one[2])]


def faults(walk, key, wrong=bool):
    return {name: seen[key] for name, seen in walk.items() if wrong(seen[key])}


@pytest.mark.parametrize("key", ["said", "failed", "raw", "faulty"])
def test_pages_are_silent_and_whole_and_mathematics_is_set(walk, key):
    assert not faults(walk, key)


def test_pages_are_as_wide_as_the_window_and_ask_no_other_server(walk, site):
    assert not faults(walk, "wide", lambda pixels: pixels > 1)
    assert not faults(walk, "asked", lambda urls: outside(urls, site))


def test_every_page_has_one_title_and_describes_its_pictures(walk):
    assert not faults(walk, "images", undescribed)
    written = {n: x for n, x in walk.items() if n.startswith(("book/", "notebooks/"))}
    assert not faults(written, "heads", lambda heads: heads != 1)


def test_internal_links_lead_somewhere(walk, site):
    dead = []
    for name, seen in walk.items():
        for link in seen["links"]:
            if not link.startswith(site):
                continue
            where, anchor = urldefrag(link)
            target = unquote(urlparse(where).path).lstrip("/")
            target = target or "index.html"
            target = redirects().get(target, target)
            if target in walk:
                ids = walk[target]["ids"]
                alive = not anchor or unquote(anchor) in ids
            else:
                alive = (HTML / target).is_file()
            if not alive:
                dead.append(f"{name} -> {target}#{anchor}")
    assert not sorted(set(dead))


def test_colab_links_are_well_formed(walk):
    right = {template.colab_url(path.name) for path in chapters()}
    found = {
        link.split("#")[0]
        for seen in walk.values()
        for link in seen["links"]
        if "colab.research" in link
    }
    assert found <= right | {"https://colab.research.google.com/"}
    for path in chapters():
        page = f"notebooks/{path.stem}.html"
        assert template.colab_url(path.name) in walk[page]["links"]


def test_the_first_page_leads_into_the_book(walk):
    assert redirects()["index.html"] == "book/intro.html"
    assert set(redirects().values()) <= set(walk)


def test_links_to_the_source_name_one_repository(walk):
    url, _ = template.repository()
    owner = url.removesuffix(url.rpartition("/")[2])
    for name, seen in walk.items():
        for link in seen["links"]:
            if link.startswith(owner):
                assert re.match(re.escape(url) + r"(/|$)", link), name


@pytest.mark.parametrize("size", WIDTHS)
def test_dark_pages_are_dark_silent_and_as_wide(browser, site, size):
    walk = see(browser, site, pages(), size, "dark")
    assert not faults(walk, "said")
    assert not faults(walk, "theme", lambda theme: theme != "dark")
    assert not faults(walk, "wide", lambda pixels: pixels > 1)


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
    assert seen["wide"] > 1000
    assert seen["raw"] == 1
    assert seen["heads"] == 2
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
