"""The camera of the tests shows what is held before it, to one browser again and again."""

from collections.abc import Iterator

import pytest
import segno
from playwright.sync_api import Page

from tests.world.chromium import LONGEST_MS, PROGRAM, running_chromium
from tests.world.fake_camera import HEIGHT, QUIET_MODULES, WIDTH, FakeCamera
from tests.world.small_site import serving_files

LOOK = """
async ([size, x0, y0, scale]) => {
  const stream = await navigator.mediaDevices.getUserMedia({video: true});
  const video = Object.assign(document.createElement("video"), {srcObject: stream, muted: true});
  await video.play();
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  for (const track of stream.getTracks()) track.stop();
  const places = Array.from({length: size}, (_, place) => (place + 0.5) * scale);
  return places.map(y => places.map(
    x => context.getImageData(x0 + x, y0 + y, 1, 1).data[0] < 128 ? 1 : 0));
}
"""


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> FakeCamera:
    return FakeCamera(tmp_path_factory.mktemp("camera") / "film.y4m")


@pytest.fixture(scope="module")
def page(camera: FakeCamera) -> Iterator[Page]:
    if not PROGRAM.exists():
        pytest.skip("Chromium is not installed")
    with (
        serving_files({"/index.html": "<!doctype html><title>x</title>"}) as origin,
        running_chromium(*camera.switches) as browser,
    ):
        opened = browser.new_page()
        opened.set_default_timeout(LONGEST_MS)
        opened.goto(origin)
        yield opened


@pytest.mark.parametrize("text", ["cellkey:pair?s=" + "7" * 26, "cellkey:further?k=" + "x" * 128])
def test_a_page_sees_each_module_of_the_code(page: Page, camera: FakeCamera, text: str) -> None:
    camera.hold_before_it(text)
    code = segno.make(text, error="m", micro=False)
    size = len(code.matrix)
    scale = HEIGHT // (size + 2 * QUIET_MODULES)
    edge = [(length - size * scale) // 2 for length in (WIDTH, HEIGHT)]
    seen = page.evaluate(LOOK, [size, *edge, scale])
    assert seen == [list(row) for row in code.matrix]
