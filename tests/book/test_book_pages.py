"""Every page of the built book, as a reader's browser sees it.

Run by `make pages` after `make book`.
"""

import re
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from browsing import (  # noqa: F401 (fixtures)
    HTML,
    WIDTHS,
    browser,
    every_page,
    pages,
    redirects,
    see,
    served,
    site,
)
from conftest import skip_or_fail
from nbkit import chapters, template

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module", params=list(WIDTHS))
def walk(request, browser, site):
    """What was seen of the whole book at one width."""
    return see(browser, site, pages(), request.param)


def faults(walk, key, wrong=bool):
    return {name: seen[key] for name, seen in walk.items() if wrong(seen[key])}


def test_pages_are_silent(walk):
    assert not faults(walk, "said")


def test_all_that_a_page_asks_for_is_there(walk):
    assert not faults(walk, "failed")


def outside(seen, site) -> list[str]:
    here = (f"{site}/", "data:", "blob:")
    return [url for url in seen["asked"] if not url.startswith(here)]


def test_nothing_is_asked_of_another_server(walk, site):
    assert not {
        name: found for name, seen in walk.items() if (found := outside(seen, site))
    }


def test_no_page_scrolls_sideways(walk):
    assert not faults(walk, "wide", lambda pixels: pixels > 1)


def test_mathematics_is_set(walk):
    assert not faults(walk, "raw")
    assert not faults(walk, "faulty")


def test_pictures_are_there_and_described(walk):
    assert not {
        name: bad
        for name, seen in walk.items()
        if (bad := [i for i in seen["images"] if not (i[1] and i[2])])
    }


def test_every_page_has_one_title(walk):
    assert not {
        name: seen["heads"]
        for name, seen in walk.items()
        if name.startswith(("book/", "notebooks/")) and seen["heads"] != 1
    }


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
    seen = contrasts(browser, site, names, scheme)
    assert len(seen) > 10
    assert not [one for one in seen if one[1] < 4.5]


def contrasts(browser, site, names, scheme) -> list[list]:
    """[what, contrast] of coloured words, as WCAG 2 reckons it."""
    window = browser.new_context(color_scheme=scheme)
    found = []
    for name in names:
        page = window.new_page()
        page.goto(f"{site}/{name}", wait_until="load")
        found += page.evaluate(CONTRAST)
        page.close()
    window.close()
    return found


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
        assert outside(seen, site) == ["http://localhost:1/x.png"]
    assert any("first" in said for said in seen["said"])
    assert any("undefined_function" in said for said in seen["said"])
    assert any("gone.png" in url for url in seen["failed"])
    assert seen["wide"] > 1000
    assert seen["raw"] == 1
    assert seen["heads"] == 2
    assert [described for _, described, _ in seen["images"]] == [
        False,
        True,
    ]
    assert not any(loaded for _, _, loaded in seen["images"])


def test_scripts_name_no_other_server():
    """Nothing waits in a page to be loaded later, either."""
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built: run `make book` first")
    tag = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)="
        r"[\"']([^\"']+)",
        re.IGNORECASE,
    )
    guilty = {}
    for name in every_page():
        text = (HTML / name).read_text(encoding="utf-8")
        base = f"http://here/{name}"
        outside = [
            found
            for found in tag.findall(text)
            if urlparse(urljoin(base, found)).hostname != "here"
            and not found.startswith("data:")
        ]
        if outside or "unpkg.com" in text:
            guilty[name] = outside
    assert not guilty
