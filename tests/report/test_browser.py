"""Gallery and pages in a headless browser, as wide as a phone."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from optlab import report
from optlab.report.figures.matrices import matrices

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)

#: Width of a phone's screen in CSS pixels.
PHONE = 360

#: A page that loads others in a frame as wide as a phone, and writes what it finds.
PROBE = """
<iframe style="width: WIDTHpx; height: 700px; border: 0"></iframe><pre></pre>
<script>
const frame = document.querySelector("iframe"), found = {};
async function look(page) {
  await new Promise((done) => { frame.onload = done; frame.src = page; });
  const inner = frame.contentDocument, images = [...inner.images];
  for (const each of images) each.loading = "eager";
  await Promise.all(images.map((each) => each.complete || new Promise(
    (done) => { each.onload = each.onerror = done; })));
  found[page] = {
    width: inner.documentElement.scrollWidth,
    images: images.length,
    broken: images.filter((each) => !each.naturalWidth).map((each) => each.alt),
  };
}
(async () => {
  for (const page of PAGES) await look(page);
  document.querySelector("pre").textContent = JSON.stringify(found);
})();
</script>
"""


def seen(folder, pages):
    """What a browser finds on each page, and what it logs to the console."""
    text = PROBE.replace("WIDTH", str(PHONE)).replace("PAGES", json.dumps(pages))
    (folder / "probe.html").write_text(text)
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
        "--allow-file-access-from-files", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=60000",
        "--dump-dom", (folder / "probe.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    )
    found = re.search("<pre>(.*)</pre>", done.stdout)
    assert found, done.stdout[-500:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found[1])), console


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_images_load_nothing_is_logged_and_nothing_is_wider_than_a_phone(tmp_path):
    rows = [{f"a column of many words {i}": "1" * 20 for i in range(12)}] * 2
    figure = matrices("Weights", {"layer": {"W": np.eye(3), "b": np.ones((3, 1))}})
    picture = report.Picture("epochs", figure, "A long caption. " * 20, "all")
    table = report.tabulate("Wide", rows, [])
    listing = report.Listing("Config", "x" * 300)
    section = report.Section("Layers", (picture, table, listing))
    report.write_page(tmp_path / "one", "A page", [section], lead=["Word. " * 90])
    card = report.Card(
        name="one", title="A title " * 12, time="Took 1 s.", page="one/index.html",
        command=f"python -m experiments.compare --config=configs/{'x' * 60}.py",
        picture="one/figures/epochs.png",
        claims=(report.Claimed("A claim " * 20, "held", "-0.1 [-0.2, 0]; " * 12),) * 9,
    )  # fmt: skip
    report.write_gallery(tmp_path, "A course", {"A": [card, card], "B " * 20: [card]})
    found, console = seen(tmp_path, ["index.html", "one/index.html"])
    assert [page["images"] for page in found.values()] == [3, 1]
    for page in found.values():
        assert not page["broken"]
        assert page["width"] <= PHONE
    assert not console

    # The check itself: a missing image and a wide word are found.
    (tmp_path / "bad.html").write_text(f'<img src="no.png" alt="gone">{"x" * 99}')
    found, console = seen(tmp_path, ["bad.html"])
    assert found["bad.html"]["broken"] == ["gone"]
    assert found["bad.html"]["width"] > PHONE
