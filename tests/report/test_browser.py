"""The page in a real browser: the map draws, the hover shows a picture, the console stays silent."""

import io

import numpy as np
import pytest
from PIL import Image

from chromium import MARKS, chromium
from spaceform.report.page import Gallery, GalleryLine, MapView, Section, render
from spaceform.report.sprites import make_sheet

pytestmark = MARKS


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile"), width=1200) as driver:
        yield driver


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    def picture(shade):
        buffer = io.BytesIO()
        Image.new("RGB", (48, 48), (shade, 80, 255 - shade)).save(buffer, "PNG")
        return buffer.getvalue()

    n = 300
    view = MapView(
        xy=np.random.default_rng(0).normal(size=(n, 2)),
        rows=range(n),
        names=[f"row {i}" for i in range(n)],
        colours={
            "kind": [["cat", "dog", "owl"][i % 3] for i in range(n)],
            "half": ["a" if i < 150 else None for i in range(n)],
        },
        texts={"kind": [["cat", "dog", "owl"][i % 3] for i in range(n)]},
    )
    text = render(
        title="A space",
        lead="Lead",
        facts={"rows": "300"},
        view=view,
        sections=[Section(title="Rows", blocks=[Gallery(lines=[GalleryLine(title="x", groups=[[0, 1]])])])],
        sheet=make_sheet({i: picture(i % 250) for i in range(n)}),
        labels=[f"row {i}" for i in range(n)],
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    browser.get(path.as_uri())
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    return browser


PAINTED = """
const c = document.getElementById('canvas');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i] > 120) n++;
return n;
"""

SETTLE = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"


def find_point(browser):
    """Return the place of a painted pixel, relative to the canvas's centre."""
    return browser.execute_script("""
        const c = document.getElementById('canvas'), p = c.getContext('2d');
        const d = p.getImageData(0, 0, c.width, c.height).data;
        for (let y = c.height >> 1; y < c.height; y++) for (let x = c.width >> 1; x < c.width; x++)
          if (d[4 * (y * c.width + x) + 3] > 200)
            return [Math.round(x * c.clientWidth / c.width - c.clientWidth / 2),
                    Math.round(y * c.clientHeight / c.height - c.clientHeight / 2)];
    """)


def test_the_map_draws(page):
    assert page.execute_script(PAINTED) > 1000


def test_hover_shows_a_picture_and_words(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    canvas = page.find_element(By.ID, "canvas")
    ActionChains(page).move_to_element_with_offset(canvas, *find_point(page)).perform()
    page.execute_async_script(SETTLE)
    tip = page.find_element(By.ID, "tip")
    assert tip.is_displayed()
    assert "row " in tip.text
    picture = tip.find_element(By.CLASS_NAME, "pic")
    assert picture.is_displayed()
    assert picture.value_of_css_property("background-image").startswith('url("data:image/webp')
    ActionChains(page).move_to_element(page.find_element(By.TAG_NAME, "h1")).perform()
    page.execute_async_script(SETTLE)
    assert not tip.is_displayed()


def test_search_legend_colour_zoom_and_reset(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    whole = page.execute_script(PAINTED)
    page.find_element(By.ID, "find").send_keys("row 12")
    page.execute_async_script(SETTLE)
    assert page.find_element(By.ID, "found").text == "11 found"
    assert page.execute_script(PAINTED) < whole / 3
    page.find_element(By.ID, "reset").click()
    legend = page.find_elements(By.CSS_SELECTOR, "#legend button")
    assert [button.text.split()[0] for button in legend] == ["cat", "dog", "owl"]
    legend[0].click()
    page.execute_async_script(SETTLE)
    assert page.execute_script(PAINTED) < whole * 0.7
    assert page.find_element(By.CSS_SELECTOR, "#legend button").get_attribute("aria-pressed") == "true"
    Select(page.find_element(By.ID, "colour")).select_by_visible_text("half")
    page.execute_async_script(SETTLE)
    assert len(page.find_elements(By.CSS_SELECTOR, "#legend button")) == 1
    page.find_element(By.ID, "canvas").send_keys("++++")
    page.find_element(By.ID, "reset").click()
    page.execute_async_script(SETTLE)
    assert abs(page.execute_script(PAINTED) - whole) < whole * 0.2


def test_pictures_of_the_gallery_are_there(page):
    from selenium.webdriver.common.by import By

    pictures = page.find_elements(By.CSS_SELECTOR, ".gallery .pic")
    assert len(pictures) == 2
    assert all(p.size == {"width": 48, "height": 48} for p in pictures)


def test_the_console_is_silent(page):
    heard = [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    ours = "getImageData"  # these tests read the canvas back, which Chromium remarks on; the page never does
    assert [entry for entry in heard if ours not in entry["message"]] == []
