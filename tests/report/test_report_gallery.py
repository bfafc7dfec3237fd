import base64
import io

import numpy as np
import pytest
from fake_gallery import fake_gallery
from fake_result import fake_result
from PIL import Image

from privynet_opt.report.gallery_info import gallery_info, glimpse
from privynet_opt.report.page import page


@pytest.fixture
def result():
    return fake_result()


def test_no_gallery_is_no_pictures(result, tmp_path):
    assert gallery_info(result) is None
    result.galleries = (tmp_path / "missing",)
    assert gallery_info(result) is None
    assert "No pictures were kept" in page(result)


def test_the_recommended_topology_stands_between_more_and_less_private_ones(result, tmp_path):
    rows = result.candidates
    leak = rows["psnr_db"] - result.best["psnr_db"]
    front = rows[rows["on_front"] & (leak < 0)].head(5)
    worse = rows[leak > 1].head(3)
    shown = np.concatenate([front.index, worse.index])
    best = rows[rows["accuracy"] == result.best["accuracy"]].head(1)
    chosen = rows.loc[[*shown, *best.index]]
    result.galleries = (fake_gallery(tmp_path, chosen),)
    info = gallery_info(result)
    assert [row.recommended for row in info.recovered] == [False, False, True, False, False]
    assert info.recovered[2].title == "conv4, 6 filters by privacy"
    assert info.recovered[2].note.startswith("recommended, predicted 16.81 dB; 16.8 dB, SSIM 0.25")
    means = [float(row.note.split("; ")[1].split(" dB")[0]) for row in info.recovered]
    assert means == sorted(means)
    assert info.recovered[0].note.startswith("on the front")
    assert info.recovered[4].note.startswith("breaks a limit")
    assert f"{len(result.front) - 6} of the {len(result.front)} topologies of the front" in (
        info.missing
    )


def test_the_verdict_opens_with_images_and_what_was_recovered_of_them(result, tmp_path):
    best = result.candidates[result.candidates["accuracy"] == result.best["accuracy"]].head(1)
    result.galleries = (fake_gallery(tmp_path / "a", best),)
    pictures = glimpse(gallery_info(result))
    words = [picture.words.split(": ")[0] for picture in pictures]
    assert words[:4] == [f"Image {n}, Original" for n in (1, 2, 3, 4)]
    assert words[4:] == [f"Image {n}, conv4, 6 filters by privacy" for n in (1, 2, 3, 4)]
    result.galleries = (fake_gallery(tmp_path / "b", result.candidates.drop(best.index).head(2)),)
    assert glimpse(gallery_info(result)) == glimpse(None) == ()
    assert "glimpse" not in page(result).split("<body>")[1]


def test_the_first_gallery_with_the_recommended_topology_is_shown(result, tmp_path):
    best = result.candidates[result.candidates["accuracy"] == result.best["accuracy"]].head(1)
    other = result.candidates.drop(best.index).head(2)
    result.galleries = (
        fake_gallery(tmp_path / "a", other, "a"),
        fake_gallery(tmp_path / "b", best, "b"),
    )
    assert gallery_info(result).source == "b"
    result.galleries = result.galleries[:1]
    info = gallery_info(result)
    assert info.source == "a"
    assert "The recommended topology has no pictures yet" in info.missing


def test_pictures_are_what_the_strip_holds(result, tmp_path):
    result.galleries = (fake_gallery(tmp_path, result.candidates.head(1)),)
    picture = gallery_info(result).original.pictures[1]
    encoded = picture.uri.removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        assert np.asarray(image)[:, 0, 0].tolist() == [
            int(v) // 2 for v in np.linspace(0, 255, 8, dtype=np.uint8)
        ]
    assert (picture.psnr_db, picture.words) == ("", "Image 2, Original")


def test_images_of_ones_own_come_with_a_warning_and_others_with_their_source(result, tmp_path):
    for source, said in (("", "whoever you send it to sees them"), ("<i>noise</i>", "&lt;i&gt;")):
        folder = tmp_path / str(len(source))
        result.galleries = (fake_gallery(folder, result.candidates.head(1), source),)
        text = page(result)
        assert said in text
        assert text.count('<img src="data:image/png;base64,') == 12
    assert "<i>noise" not in text


def test_a_study_without_an_answer_still_shows_pictures(tmp_path):
    result = fake_result(constraints=("psnr_db <= 1",))
    result.galleries = (fake_gallery(tmp_path, result.candidates.iloc[::200]),)
    info = gallery_info(result)
    assert 1 <= len(info.recovered) <= 5
    assert not any(row.recommended for row in info.recovered)
