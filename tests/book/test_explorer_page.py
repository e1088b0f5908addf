"""The explorer page, clicked and typed through in a browser."""

import explorer
import pytest
from browsing import WIDTHS, Visit, browser, built, site  # noqa: F401 (fixtures)

pytestmark = pytest.mark.pages

PAGE = "book/explorer.html"


@pytest.fixture(params=list(WIDTHS))
def page(request, browser, site):
    """The page in a window; nothing may be said or fail in it."""
    window = browser.new_context(viewport=WIDTHS[request.param])
    visit = Visit(window, site, PAGE)
    yield visit.page
    assert visit.said == [] and visit.failed == []
    assert all(url.startswith((site, "data:")) for url in visit.asked)
    window.close()


@pytest.fixture(scope="module")
def known():
    return explorer.load()


def answers(known, method, stage, way, query) -> list[int]:
    (one,) = [s for s in known["systems"] if s["method"] == method]
    width = 2 * (explorer.TOP + 1)  # two digits a number
    return explorer.unpacked(one["stages"][stage][way][query * width :][:width])


def shown(page, method) -> list[str]:
    """What a system's list says to a screen reader."""
    return page.eval_on_selector_all(
        f"[data-system={method}] li button",
        "found => found.map(e => e.getAttribute('aria-label'))",
    )


def test_every_system_answers(page, known):
    script = "all => all.map(e => e.dataset.system)"
    found = page.eval_on_selector_all(".ex-system", script)
    assert found == [one["method"] for one in known["systems"]]
    for method in found:
        assert len(shown(page, method)) == explorer.TOP


def test_a_sentence_gets_what_the_data_say(page, known):
    kinds, captions = known["scenes"]["kinds"], known["scenes"]["captions"]
    image = kinds.index("airport") if "airport" in kinds else 0
    text = captions[image][0]
    page.select_option("#ex-kind", kinds[image])
    page.select_option("#ex-sentence", str(text))
    good = explorer.owners(captions, len(known["scenes"]["texts"]))[text]
    for one in known["systems"]:
        place, *top = answers(known, one["method"], "first", "t2i", text)
        labels = shown(page, one["method"])
        for number, (item, label) in enumerate(zip(top, labels, strict=True), 1):
            hit = ", hit" if item in good else ""
            kind = kinds[item].replace("_", " ")
            assert label.startswith(f"Place {number}{hit}. {kind}: ")
        said = page.inner_text(f"[data-system={one['method']}] .ex-place")
        assert said == f"Own picture at place {place}."
    assert f"query={text}" in page.url


def test_a_second_look_shows_before_and_after(page, known):
    page.select_option("#ex-stage", "ppsr")
    query = int(page.input_value("#ex-sentence"))
    for one in known["systems"]:
        before, *_ = answers(known, one["method"], "first", "t2i", query)
        after, *_ = answers(known, one["method"], "ppsr", "t2i", query)
        said = page.inner_text(f"[data-system={one['method']}] .ex-place")
        assert f"at place {before} before, {after} after" in said
        assert len(shown(page, one["method"])) == 2 * explorer.TOP
    assert "after" in page.inner_text("#ex-said")


def test_the_keyboard_is_enough(page, known):
    """From sentence to picture and through the pictures by keys."""
    page.focus("#ex-t2i")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("#ex-i2t")
    assert page.is_hidden("#ex-sentence-row")
    radios = page.locator("input[name=ex-picture]")
    assert radios.count() >= 2
    radios.first.focus()
    page.keyboard.press("ArrowRight")
    query = int(page.input_value("input[name=ex-picture]:checked"))
    assert query == int(radios.nth(1).get_attribute("value"))
    texts, captions = known["scenes"]["texts"], known["scenes"]["captions"]
    method = known["systems"][0]["method"]
    place, *top = answers(known, method, "first", "i2t", query)
    labels = shown(page, method)
    assert all(texts[item] in label for item, label in zip(top, labels))
    hits = [", hit" in label for label in labels]
    assert hits == [item in captions[query] for item in top]
    assert (place <= explorer.TOP) == any(hits)


def test_a_result_can_be_asked_with(page):
    button = page.locator(".ex-system li button").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.is_checked("#ex-i2t")
    assert "way=i2t" in page.url
    assert page.evaluate("document.activeElement.id") == "ex-asked"
    page.locator(".ex-system li button").first.click()
    assert page.is_checked("#ex-t2i")


def test_it_can_be_sent_to_others(page, browser, site, known):
    page.click("#ex-differ")
    page.select_option("#ex-stage", "mr")
    address = page.url
    again = browser.new_page()
    again.goto(address, wait_until="load")
    for selector in ("#ex-asked", "#ex-said"):
        assert again.inner_text(selector) == page.inner_text(selector)
    again.close()


def test_buttons_change_the_query(page):
    asked = [page.inner_text("#ex-asked")]
    for _ in range(2):
        page.click("#ex-differ")
        asked.append(page.inner_text("#ex-asked"))
    assert asked[2] not in asked[:2]
    page.click("#ex-any")
    assert page.inner_text("#ex-asked")
    assert page.input_value("#ex-sentence") in page.url


def test_controls_have_names_and_targets_are_large(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
             '#ex-home select, #ex-home input, #ex-home button')]
           .filter(e => e.offsetParent && !(e.labels && e.labels.length)
             && !e.getAttribute('aria-label') && !e.innerText.trim())
           .map(e => e.id || e.className)"""
    )
    assert nameless == []
    heights = page.eval_on_selector_all(
        "#ex-form select, .ex-buttons button, .ex-pick",
        "all => all.filter(e => e.offsetParent).map(e => e.offsetHeight)",
    )
    assert min(heights) >= 24
