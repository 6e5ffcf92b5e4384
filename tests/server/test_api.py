import base64
import email
import json

import httpx
import numpy as np
import pytest

from hostile import damaged_fax
from pellucid.imaging.io import encode, read
from pellucid.loading import load

from .conftest import photo

EXIF = bytes.fromhex(
    "4d4d002a00000008000101310002000000060000001a000000005065 6c6c7500".replace(" ", "")
)


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status and body["title"]
    return body["detail"]


def test_a_picture_comes_back_as_the_library_restores_it(server, bundles, picture):
    answer = server.post("restore", ("a b.png", picture), {"strength": "0.5", "words": "hazy"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    options = {"strength": 0.5, "words": ["hazy"]}
    wanted = load(bundles / "net.safetensors", "cpu").restore(read(picture), **options)
    assert np.array_equal(read(answer.content).samples(8), wanted.samples(8))
    report = json.loads(answer.headers["pellucid-report"])
    assert report["words"] == ["hazy"] and report["model"] == "net"
    assert (report["width"], report["height"]) == (48, 40)


def test_options_come_from_the_query_too_and_the_body_may_be_the_picture(server, picture):
    form = server.post("restore", picture, {"strength": "0.5"})
    for kind in ("image/png", "application/octet-stream"):
        body = httpx.post(
            f"{server.address}/api/restore",
            params={"strength": "0.5"},
            content=picture,
            headers={"content-type": kind},
        )
        assert body.status_code == 200 and body.content == form.content


def test_metadata_profile_depth_and_name_survive(server):
    given = photo(bit_depth=16, exif=EXIF, dpi=(300.0, 300.0))
    answer = server.post("restore", ("Großmutter 1911.png", encode(given, "PNG")))
    back = read(answer.content)
    assert back.bit_depth == 16 and back.exif == given.exif
    assert back.dpi == pytest.approx(given.dpi, abs=0.1)
    assert "filename*=UTF-8''Gro%C3%9Fmutter%201911.png" in answer.headers["content-disposition"]


def test_what_libtiff_prints_is_in_the_report_and_not_in_the_log(server, capfd):
    answer = server.post("restore", ("fax.tif", damaged_fax()))
    assert answer.status_code == 200, answer.text
    notes = json.loads(answer.headers["pellucid-report"])["notes"]
    assert notes[0].startswith("libtiff: ") and capfd.readouterr().err == ""


def test_the_format_may_be_chosen(server, picture):
    answer = server.post("restore", ("a.png", picture), {"format": "jpg", "quality": "90"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert read(answer.content).format == "JPEG"
    assert 'filename="a.jpg"' in answer.headers["content-disposition"]


def test_the_report_comes_in_json_or_in_a_form_if_asked_for(server, picture):
    plain = server.post("restore", ("a.png", picture))
    report = json.loads(plain.headers["pellucid-report"])
    accept = {"accept": "application/json"}
    answer = server.post("restore", ("a.png", picture), headers=accept).json()
    assert base64.b64decode(answer["image"]) == plain.content
    assert answer["name"] == "a.png" and answer["type"] == "image/png"
    assert answer["report"] | {"seconds": 0} == report | {"seconds": 0}
    accept = {"accept": "multipart/form-data"}
    form = server.post("restore", ("a.png", picture), headers=accept)
    head = f"Content-Type: {form.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + form.content).get_payload()
    assert json.loads(parts[0].get_payload()) | {"seconds": 0} == report | {"seconds": 0}
    assert parts[1].get_payload(decode=True) == plain.content
    assert parts[1].get_filename() == "a.png"


def test_only_the_region_or_the_mask_is_restored(server, picture):
    before = read(picture).samples(8)
    mask = np.zeros((40, 48, 3), np.float32)
    mask[:8, :8] = 1
    white = encode(photo().with_pixels(mask), "PNG")
    url = f"{server.address}/api/restore"
    by_mask = httpx.post(url, files={"image": picture, "mask": white}, timeout=60)
    by_region = httpx.post(url, files={"image": picture}, data={"region": "0,0,8,8"}, timeout=60)
    after = read(by_mask.content).samples(8)
    assert np.array_equal(after[30:], before[30:]) and not np.array_equal(after, before)
    assert by_region.content == by_mask.content


def test_what_is_missing_is_filled(server, picture):
    hole = np.zeros((40, 48, 3), np.float32)
    hole[10:20, 10:20] = 1
    files = {"image": picture, "missing": encode(photo().with_pixels(hole), "PNG")}
    answer = httpx.post(f"{server.address}/api/restore", files=files, timeout=60)
    assert answer.status_code == 200, answer.text
    plain = read(httpx.post(f"{server.address}/api/restore", files={"image": picture}).content)
    differs = (read(answer.content).samples(8) != plain.samples(8)).any(axis=-1)
    assert differs[10:20, 10:20].mean() > 0.9 and json.loads(answer.headers["pellucid-report"])


def test_the_diagnosis_has_a_probability_for_each_word(server, picture):
    answer = server.post("diagnose", picture)
    assert answer.status_code == 200
    assert sum(answer.json()["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_the_damage_is_a_picture_where_the_model_has_a_map(start, bundles, server, picture):
    with start(model=str(bundles / "weather.safetensors")) as weather:
        answer = weather.post("damage", ("a.jpg", picture))
    assert answer.status_code == 200, answer.text
    assert read(answer.content).pixels.shape == (40, 48, 3)
    assert 'filename="a.map.png"' in answer.headers["content-disposition"]
    assert "no map of the damage" in problem(server.post("damage", picture), 400)


def test_models_are_offered_by_name_and_never_by_path(server, bundles, picture):
    names = [row["name"] for row in httpx.get(f"{server.address}/api/models").json()]
    assert names[0] == "net" and {"auto", "lite", "lite-sde"} <= set(names)
    assert "daclip" not in names  # would be fetched
    for name in (str(bundles / "sde.safetensors"), "../sde.safetensors", "daclip", ""):
        assert "unknown model" in problem(server.post("restore", picture, {"model": name}), 400)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strenght": "1"}, "no option 'strenght'"),
        ({"strength": "2"}, "strength 2.0 is not in [0, 1]"),
        ({"strength": "nan"}, "strength"),
        ({"strength": "much"}, "option strength"),
        ({"preset": "fast"}, "diffusion"),
        ({"words": "sad"}, "does not know 'sad'"),
        ({"format": "gif"}, "option format"),
        ({"quality": "0"}, "option quality"),
        ({"seed": "-1"}, "option seed"),
        ({"tile": "-1"}, "tile -1 is negative"),
        ({"region": "1,2,3"}, "four whole numbers"),
        ({"region": "a,b,c,d"}, "four whole numbers"),
        ({"region": "0,0,0,5"}, "empty"),
    ],
)
def test_wrong_options_are_answered_with_the_command_lines_sentence(server, picture, options, said):
    assert said in problem(server.post("restore", picture, options), 400)


def test_pictures_that_cannot_be_read_are_422(server, picture):
    for data in (b"no picture", picture[: len(picture) // 2], b""):
        assert problem(server.post("restore", ("a.png", data)), 422)
    answer = server.post("restore", picture, {"region": "0,0,500,500"})
    assert "is not inside the picture" in problem(answer, 422)


def test_too_many_pixels_are_refused(start):
    with start(max_pixels=1000) as small:
        assert "above the limit" in problem(small.post("restore", encode(photo(), "PNG")), 422)


def test_health_metrics_and_the_description(server, picture):
    health = httpx.get(f"{server.address}/healthz").json()
    assert health["status"] == "ok"
    server.post("restore", picture)
    problem(server.post("restore", b"?"), 422)
    httpx.get(f"{server.address}/no/such/path")
    lines = httpx.get(f"{server.address}/metrics").text.splitlines()
    counts = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(counts['pellucid_requests_total{path="/api/restore",status="200"}']) >= 1
    assert float(counts['pellucid_requests_total{path="/api/restore",status="422"}']) >= 1
    assert counts["pellucid_jobs"] == "0.0"
    assert "/no/such/path" not in "".join(lines)  # anybody could fill the memory with paths
    described = httpx.get(f"{server.address}/openapi.json").json()["paths"]
    form = described["/api/restore"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert {"image", "mask", "missing", "strength"} <= set(form["schema"]["properties"])


def test_the_description_page_needs_no_other_host(server):
    page = httpx.get(f"{server.address}/docs").text
    assert "://" not in page.replace(server.address, "")
    for line in page.split('"'):
        if line.endswith((".js", ".css", ".png")):
            assert httpx.get(server.address + line).status_code == 200


def test_unknown_paths_and_methods_are_problems_too(server):
    assert "Not Found" in problem(httpx.get(f"{server.address}/api/none"), 404)
    assert "Not Allowed" in problem(httpx.get(f"{server.address}/api/restore"), 405)


def test_an_instruction_is_a_field_of_the_form(server, picture):
    text = "take the rain away but keep it dark"
    for what in ("restore", "diagnose"):
        answer = server.post(what, picture, {"ask": text}, headers={"accept": "application/json"})
        assert answer.status_code == 200, answer.text
        report = answer.json()["report"] if what == "restore" else answer.json()
        assert report["words"] == ["rainy"] and report["asked"]["kept"] == ["low-light"]
    said = problem(server.post("restore", picture, {"ask": "turn it into a painting"}), 400)
    assert "understood in" in said
